"""How far a stream was taken: a value to keep in one transaction with what was made of the entries."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bridge.consumer.faults import Altered, Skipped
from bridge.consumer.reading import Entry
from bridge.core.chain import ORIGIN, link
from bridge.core.event import Kind

AHEAD_MAX = 10_000
"""More than a bridge ever has under way beyond the first entry that was not accepted."""


class Ahead(msgspec.Struct, frozen=True, array_like=True):
    """An entry that was taken before what lies in front of it: what its chain value was made from."""

    position: int
    previous: int | None
    kind: Kind
    epoch: int
    sequence: int | None
    digest: str
    chain: str


class Taken(NamedTuple):
    """``new`` are the entries that were not here before, in order; ``place`` is what to keep with them."""

    new: list[Entry]
    place: "Place"


class Place(msgspec.Struct, frozen=True):
    """Everything up to ``position`` was taken; ``chain`` is the log's value there, in hexadecimal, None if unknown.

    ``ahead`` is what was taken beyond that, where keys come side by side. A stream begins with ``Place()``.
    ``dumps`` and ``loads`` make text of it and back, for one column of a table.
    """

    position: int = 0
    chain: str | None = ORIGIN.hex()
    ahead: tuple[Ahead, ...] = ()

    def take(self, entries: Iterable[Entry], *, by_key: bool = False, every: bool = False) -> Taken:
        """What of ``entries`` is new, and the place after it. All of them are of the one stream.

        ``by_key`` for a destination with ``order = "key"``: entries may come before those in front of them. ``every``
        for a destination that takes every entry: then the chain leads from each one to the next, and none may be
        left out.

        An entry out of its turn (``previous`` is None) always counts as new where keys do not come side by side:
        whether it is here already is known by its position alone, beside what was made of it.

        Raises:
            Skipped: something before an entry was sent and is not here.
            Altered: the chain does not lead to an entry from what is here.
        """
        new: list[Entry] = []
        place = self
        for entry in entries:
            if entry.previous is None and not (by_key and entry.position > place.position):
                new.append(entry)
                continue
            found = place._beside(entry) if by_key else place._next(entry, every=every)
            if found is not place:
                new.append(entry)
                place = found
        return Taken(new, place)

    @classmethod
    def joining(cls, entry: Entry) -> "Place":
        """The place before the first entry that a new destination ever gets, where the log's beginning is deleted.

        Only for one that has nothing yet: whoever has lost its place would skip what it has not.
        """
        return cls(entry.position - 1 if entry.previous is None else entry.previous, None)

    def passing(self, position: int, chain: str) -> "Place":
        """The place once everything up to ``position`` was got in another way, or is given up."""
        place = Place(position, chain, tuple(one for one in self.ahead if one.position > position))
        return _moved(place, "")

    def dumps(self) -> str:
        """The place as text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def loads(cls, text: str | None) -> "Place":
        """The place from its text; where a stream begins from None. Raises ValueError for another text."""
        return cls() if text is None else msgspec.json.decode(text, type=cls)

    def _next(self, entry: Entry, *, every: bool) -> "Place":
        if entry.position <= self.position:
            self._same(entry)
            return self
        assert entry.previous is not None
        if entry.previous > self.position or (every and entry.position > self.position + 1):
            raise Skipped(
                entry.stream, position=self.position, previous=entry.position - 1 if every else entry.previous
            )
        return self.after(_ahead(entry), entry.stream)

    def _beside(self, entry: Entry) -> "Place":
        if entry.position <= self.position or any(one.position == entry.position for one in self.ahead):
            return self
        if len(self.ahead) >= AHEAD_MAX:
            raise Skipped(entry.stream, position=self.position, previous=self.ahead[0].position)
        ahead = sorted((*self.ahead, _ahead(entry)), key=lambda one: one.position)
        return _moved(Place(self.position, self.chain, tuple(ahead)), entry.stream)

    def touches(self, one: Ahead) -> bool:
        """Whether nothing was sent between the place and ``one``."""
        return one.position == self.position + 1 or (one.previous is not None and one.previous <= self.position)

    def after(self, one: Ahead, stream: str) -> "Place":
        """The place with ``one`` taken, which nothing was sent before. Raises Altered."""
        if one.position == self.position + 1 and self.chain is not None:
            before, digest = bytes.fromhex(self.chain), bytes.fromhex(one.digest)
            if link(before, one.position, one.kind, one.epoch, one.sequence, digest).hex() != one.chain:
                raise Altered(f"{stream}: the chain does not lead from position {self.position} to {one.position}")
        return Place(one.position, one.chain, self.ahead)

    def _same(self, entry: Entry) -> None:
        if entry.position == self.position and self.chain not in (None, entry.chain):
            raise Altered(f"{entry.stream}: position {entry.position} was taken with another chain value")


def _ahead(entry: Entry) -> Ahead:
    return Ahead(
        entry.position, entry.previous, entry.kind, entry.epoch, entry.sequence, entry.digest, entry.chain
    )  # fmt: skip


def _moved(place: Place, stream: str) -> Place:
    """The place, moved over what is ahead without anything between."""
    left = list(place.ahead)
    while left and place.touches(left[0]):
        place = place.after(left.pop(0), stream)
    return Place(place.position, place.chain, tuple(left))
