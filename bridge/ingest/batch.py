"""A batch of submissions taken apart: the first telling of each number, later ones of the same, those without one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.event import Event, Transport
from bridge.ingest.submission import Receipt, Submission
from bridge.store.streams import Stream

HELD = -1
"""In place of a submission's index, for events that waited in the database."""


@dataclass(slots=True)
class Telling:
    """One event of the batch, the way it came, and the index of the submission it belongs to.

    ``reread``: its reader has been past its number before. ``audit``: the pass that its reader is, if it is
    the audit.
    """

    submission: int
    event: Event
    transport: Transport
    reread: bool = False
    audit: int | None = None


@dataclass(slots=True)
class Batch:
    """``told`` counts the tellings by transport, less those that a reader only looked at again.

    ``given`` holds the numbers that the bridge gave to the events of a submission, by the submission's index.
    """

    first: dict[int, Telling] = field(default_factory=dict)
    again: list[Telling] = field(default_factory=list)
    unnumbered: dict[str, Telling] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    given: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, submissions: Sequence[Submission], stream: Stream, known: Mapping[str, int] | None = None) -> "Batch":
        """Take ``submissions`` apart, in their order; a stream of the bridge's own numbers gets them here.

        ``known`` are the numbers that event ids have, where an id stands for one event; None where it does not.
        """
        batch = cls()
        next_number = stream.head + 1
        numbers = None if known is None else dict(known)
        for index, submission in enumerate(submissions):
            if submission.transport is None:
                continue
            for event in submission.events:
                if stream.numbering == "bridge":
                    number = next_number if numbers is None else numbers.setdefault(event.event_id, next_number)
                    event = event._replace(sequence=number)
                    next_number += number == next_number
                    batch.given.setdefault(index, []).append(number)
                reread = event.sequence is not None and event.sequence < submission.reread_below
                batch.told[submission.transport.value] += not reread
                batch._add(Telling(index, event, submission.transport, reread, submission.audit))
        return batch

    def add_held(self, held: Sequence[tuple[Event, Transport]]) -> None:
        """Add what waited until its epoch was decided; it belongs to no submission."""
        for event, transport in held:
            self._add(Telling(HELD, event, transport))

    def drop(self, numbers: set[int]) -> None:
        """Leave every telling of ``numbers`` out of account but for having been told."""
        for number in numbers:
            del self.first[number]
        if numbers:
            self.again = [telling for telling in self.again if telling.event.sequence not in numbers]

    def count_late(self, fresh: set[int]) -> None:
        """Count as told what a reader found new where it had been before: it became visible late."""
        self.told.update(self.first[n].transport.value for n in fresh if self.first[n].reread)

    def _add(self, telling: Telling) -> None:
        number = telling.event.sequence
        if number is None:
            self.unnumbered.setdefault(telling.event.event_id, telling)
        elif number in self.first:
            self.again.append(telling)
        else:
            self.first[number] = telling

    def numbered(self) -> list[tuple[Event, Transport]]:
        """Every telling that carries a number."""
        return _pairs((*self.first.values(), *self.again))

    def ascending(self) -> list[tuple[Event, Transport]]:
        """The first telling of each number, in order of number: two batches in other orders would deadlock."""
        return [(self.first[number].event, self.first[number].transport) for number in sorted(self.first)]

    def repeated(self, fresh: set[int]) -> list[tuple[Event, Transport]]:
        """What tells of a number that is not new, or tells of it again."""
        return _pairs((*(telling for number, telling in self.first.items() if number not in fresh), *self.again))

    def receipts(
        self,
        submissions: Sequence[Submission],
        *,
        fresh: set[int],
        late: set[int],
        conflicts: set[int],
        sightings: int,
        held: int,
    ) -> list[Receipt]:
        """What became of each submission."""
        mine: list[list[int]] = [[] for _ in submissions]
        for number in sorted(fresh):
            if self.first[number].submission != HELD:
                mine[self.first[number].submission].append(number)
        receipts = []
        for index, (submission, new) in enumerate(zip(submissions, mine, strict=True)):
            numbers = self.given.get(index) or _numbers(submission)
            differing = tuple(number for number in numbers if number in conflicts)
            told_late = tuple(number for number in new if number in late) if late else ()
            receipts.append(Receipt(tuple(new), len(numbers) - len(new), differing, sightings, held, told_late))
        return receipts


def _numbers(submission: Submission) -> list[int]:
    return [event.sequence for event in submission.events if event.sequence is not None]


def _pairs(tellings: Sequence[Telling]) -> list[tuple[Event, Transport]]:
    return [(telling.event, telling.transport) for telling in tellings]
