"""The chain is the one that the documentation spells out, byte for byte."""

import hashlib

from bridge.core.chain import ORIGIN, link
from bridge.core.event import Kind, digest_of


def test_the_chain_is_sha256_over_the_documented_bytes() -> None:
    digest = digest_of(b'{"a":1}')
    spelled = bytes(32) + bytes.fromhex("0000000000000011") + b"event\x00" + bytes.fromhex("00000001")
    spelled += bytes.fromhex("00000000000004b7") + digest
    assert link(ORIGIN, 17, Kind.EVENT, 1, 1207, digest) == hashlib.sha256(spelled).digest()


def test_an_entry_without_a_number_counts_as_minus_one() -> None:
    digest = digest_of(b"{}")
    spelled = bytes(32) + bytes(7) + b"\x01" + b"gap\x00" + bytes.fromhex("00000002") + b"\xff" * 8 + digest
    assert link(ORIGIN, 1, Kind.GAP, 2, None, digest) == hashlib.sha256(spelled).digest()
