"""The verdict: what the consumer holds against what the venue assigned. Nothing here asks anybody anything."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bridge.core.event import Kind
from bridge.core.span import Span
from bridge.sim.consumer import Held
from bridge.sim.demo.parts import Assigned, ConsumerState, StreamState

VENUE_KINDS = frozenset({Kind.EVENT, Kind.LATE, Kind.RECOVERED})
Number = tuple[int, int]
"""(epoch, sequence)."""


class Loss(msgspec.Struct, frozen=True):
    """What a ``gap`` entry says; both ends inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """``missing`` rows are neither held nor inside a gap that the consumer was told of; ``told_lost`` ones are."""

    assigned: int
    delivered: int
    missing: int
    told_lost: int
    held_twice: int
    unknown: int
    differing: int
    out_of_order: int
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.problems


def judge(truth: Sequence[Assigned], held: Sequence[Held], stream: str, state: ConsumerState) -> Verdict:
    """Compare ``truth`` with what is ``held`` of ``stream``, which is in the order it came.

    A row that a webhook contradicts is compared by its number alone: which of the two contents came first, and so
    is the one kept, is the venue's doing.
    """
    rows = {(row.epoch, row.sequence): row for row in truth}
    got = [entry for entry in held if entry.kind in VENUE_KINDS]
    times = Counter(_number(entry) for entry in got)
    lost = _told_lost(held)
    absent = [number for number in rows if number not in times]
    told = [
        number for number in absent if any(span.first <= number[1] <= span.last for span in lost.get(number[0], ()))
    ]
    found = {
        "missing": len(absent) - len(told),
        "told_lost": len(told),
        "held_twice": sum(count - 1 for count in times.values()),
        "unknown": sum(1 for number in times if number not in rows),
        "differing": sum(1 for entry in got if _differs(entry, rows.get(_number(entry)))),
        "out_of_order": max(_steps_back(held), state.of(stream).out_of_order),
    }
    return Verdict(
        assigned=len(rows),
        delivered=len(got),
        problems=(*_problems(found), *found_by_consumer(state)),
        **found,
    )


def _number(entry: Held) -> Number:
    return entry.epoch, entry.sequence or 0


def _told_lost(held: Sequence[Held]) -> Mapping[int, list[Span]]:
    """The spans that the consumer was told are lost, by epoch."""
    spans: dict[int, list[Span]] = {}
    for entry in held:
        if entry.kind is Kind.GAP and entry.data is not None:
            loss = msgspec.json.decode(entry.data, type=Loss)
            spans.setdefault(entry.epoch, []).append(Span.inclusive(loss.first, loss.last))
    return spans


def _differs(entry: Held, row: Assigned | None) -> bool:
    return row is not None and not row.conflict and entry.digest != row.sha256


def _steps_back(held: Sequence[Held]) -> int:
    newest, steps = (0, 0), 0
    for entry in held:
        if entry.kind is Kind.EVENT:
            steps += _number(entry) <= newest
            newest = max(newest, _number(entry))
    return steps


WORDS: Mapping[str, str] = {
    "missing": "assigned by the venue, and neither delivered nor told as lost",
    "told_lost": "told as lost although the venue still had them",
    "held_twice": "delivered at more than one position",
    "unknown": "delivered and never assigned",
    "differing": "delivered with other content than the venue's",
    "out_of_order": "delivered out of order",
}


def _problems(found: Mapping[str, int]) -> list[str]:
    return [f"{count} {WORDS[name]}" for name, count in found.items() if count]


def found_by_consumer(state: ConsumerState) -> list[str]:
    """What the consumer itself found wrong, whichever the stream."""
    found = {"signatures that do not verify": state.signature_failures, "bodies that cannot be read": state.malformed}
    problems = [f"{count} {what}" for what, count in found.items() if count]
    for name, stream in state.streams.items():
        problems += [f"{name}: {count} {what}" for what, count in _breaches(stream).items() if count]
    return problems


def _breaches(stream: StreamState) -> dict[str, int]:
    return {
        "positions passed over": stream.missing,
        "positions that do not follow the one before": stream.breaks,
        "links of the chain that do not hold": stream.chain_failures,
        "digests that are not their data's": stream.digest_failures,
    }
