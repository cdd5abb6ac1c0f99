"""What the consumer holds of each stream, and what it found wrong with it. No network here."""

import hashlib
from typing import Literal

import msgspec

from bridge.core.chain import ORIGIN, link
from bridge.core.event import Kind


class Delivery(msgspec.Struct, frozen=True):
    """The body of one request, as a consumer of any make would read it."""

    type: str
    timestamp: str
    stream: str
    position: int
    previous: int
    kind: Kind
    epoch: int
    sequence: int | None
    id: str
    key: str
    transport: str | None
    received_at: str
    digest: str
    chain: str
    data: msgspec.Raw


class Batch(msgspec.Struct, frozen=True):
    """The body of a request that holds several entries of one stream."""

    type: Literal["bridge.batch"]
    stream: str
    first: int
    last: int
    entries: list[Delivery]


class Held(msgspec.Struct, frozen=True, gc=False):
    """One entry as it is kept. ``at`` is when it came, Unix seconds; ``data`` only of what the bridge itself told.

    ``timestamp`` is the entry's own, as text: the venue's time of an event where it tells one.
    """

    stream: str
    position: int
    kind: Kind
    epoch: int
    sequence: int | None
    id: str
    type: str
    digest: str
    chain: str
    at: float
    data: bytes | None = None
    timestamp: str = ""


class Record:
    """One stream as it was received.

    ``last`` is the highest position held. ``missing`` counts positions that were passed over although the
    sender's own ``previous`` says that they were sent; ``breaks`` every ``previous`` that is not what came last.
    """

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self.last = 0
        self.chain = ORIGIN
        self.kinds: dict[str, int] = {}
        self.duplicates = 0
        self.out_of_order = 0
        self.missing = 0
        self.breaks = 0
        self.chain_failures = 0
        self.digest_failures = 0
        self._newest_event = (0, 0)

    def take(self, delivery: Delivery, *, at: float) -> Held | None:
        """Check the delivery and hold it; None if it is held already or comes too late to be."""
        data = bytes(delivery.data)
        digest = hashlib.sha256(data).digest()
        if digest.hex() != delivery.digest:
            self.digest_failures += 1
        if delivery.position <= self.last:
            known = self.held.get(delivery.position)
            if known is not None and known.chain == delivery.chain:
                self.duplicates += 1
            else:
                self.out_of_order += 1
            return None
        self._check_continuity(delivery, digest)
        own = None if delivery.sequence is not None else data
        held = Held(
            delivery.stream, delivery.position, delivery.kind, delivery.epoch, delivery.sequence, delivery.id,
            delivery.type, delivery.digest, delivery.chain, at, own, delivery.timestamp,
        )  # fmt: skip
        self.hold(held)
        return held

    def hold(self, held: Held) -> None:
        """Keep the entry, which follows all that are kept."""
        self.held[held.position] = held
        self.last = held.position
        self.chain = bytes.fromhex(held.chain)
        self.kinds[held.kind] = self.kinds.get(held.kind, 0) + 1
        if held.kind is Kind.EVENT and held.sequence is not None:
            if (held.epoch, held.sequence) <= self._newest_event:
                self.out_of_order += 1
            else:
                self._newest_event = (held.epoch, held.sequence)

    def _check_continuity(self, delivery: Delivery, digest: bytes) -> None:
        if delivery.previous != self.last:
            self.breaks += 1
            self.missing += max(0, min(delivery.previous, delivery.position - 1) - self.last)
        elif delivery.previous == delivery.position - 1:
            position, kind, epoch = delivery.position, delivery.kind, delivery.epoch
            if link(self.chain, position, kind, epoch, delivery.sequence, digest).hex() != delivery.chain:
                self.chain_failures += 1

    def state(self) -> dict[str, object]:
        return {
            "last": self.last,
            "chain": self.chain.hex(),
            "held": len(self.held),
            "kinds": self.kinds,
            "duplicates": self.duplicates,
            "out_of_order": self.out_of_order,
            "missing": self.missing,
            "breaks": self.breaks,
            "chain_failures": self.chain_failures,
            "digest_failures": self.digest_failures,
        }
