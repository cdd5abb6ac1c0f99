"""Whole envelopes as they travel, kept beside the tests."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
MARKET = "0b7e3a52-0000-4000-8000-00000000aa01"


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def changed(name: str, **changes: object) -> bytes:
    """A recorded envelope with other members; ``...`` takes one away."""
    envelope = json.loads(recorded(name)) | changes
    return json.dumps({key: value for key, value in envelope.items() if value is not ...}).encode()


def page_of(*rows: bytes, more: bytes = b"true", success: bytes = b"true") -> bytes:
    return b'{"success":%b,"data":{"events":[%b],"hasMore":%b}}' % (success, b",".join(rows), more)
