"""Whole envelopes as they travel, kept beside the tests."""

import hashlib
import json
from datetime import UTC, datetime
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


AT = datetime(2025, 10, 9, 8, 53, 20, 123_000, UTC)
EVENTS = ("market_status", "order_update", "orderbook_update", "position_update", "price_update", "trade")

FRAMES: list[tuple[bytes, list[tuple[str, str, datetime]]]] = [
    *(
        (frame, [("events", f"ws:{hashlib.sha256(frame).hexdigest()[:32]}", AT)])
        for frame in (recorded(f"frame_{name}").rstrip() for name in EVENTS)
    ),
    *((recorded(f"frame_{name}").rstrip(), []) for name in ("authenticated", "subscribed", "pong", "error")),
]
"""Each frame, and the (series, event id, time) of what it tells: all events of this venue are one series."""
