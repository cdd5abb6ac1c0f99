"""The hash chain of a log: each entry's value commits to everything before it."""

import hashlib

from bridge.core.event import Kind

ORIGIN = bytes(32)
"""The chain value before the first entry."""


def link(previous: bytes, position: int, kind: Kind, epoch: int, sequence: int | None, digest: bytes) -> bytes:
    """Chain value of an entry, 32 bytes.

    SHA-256 over: previous chain, position (8 bytes big-endian), kind (UTF-8), one zero byte, epoch (4 bytes),
    sequence (8 bytes, two's complement, -1 where there is none), digest of the entry's data (32 bytes).
    """
    number = -1 if sequence is None else sequence
    return hashlib.sha256(
        previous
        + position.to_bytes(8, "big")
        + kind.encode()
        + b"\0"
        + epoch.to_bytes(4, "big")
        + number.to_bytes(8, "big", signed=True)
        + digest
    ).digest()
