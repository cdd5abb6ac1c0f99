"""When a replay's answer is proof.

A 200 with rows in it proves nothing by itself: venues answer from lagging copies, hand out numbers before
they commit them, cut pages short and forget. A read of ``(a, b]`` is accepted as proof of completeness only
if every clause below holds; otherwise its rows are kept and the claim is withheld.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.span import Span


class Clause(StrEnum):
    """What a read must satisfy; the value is told to people when it does not."""

    LEFT_ANCHOR = "left anchor"
    RIGHT_ANCHOR = "right anchor"
    TERMINAL = "terminal"
    ORDERED = "ordered"
    SETTLED = "settled"
    RETAINED = "retained"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Reading:
    """One read of a replay, over all its pages.

    ``since`` is the exclusive lower bound that was asked for, None for the oldest retained. ``listed`` holds
    the numbers in the order of the answer. ``ended`` says that the venue said there is no more, or that a
    short page was confirmed by one more, empty, call. ``whole`` is False when a row could not be read.
    ``oldest_after`` is the oldest retained number, asked for after the last page; None where it was not asked.
    """

    since: int | None
    listed: tuple[int, ...]
    pages: int
    ended: bool
    whole: bool
    oldest_after: int | None = None

    def between(self, span: Span) -> tuple[int, ...]:
        """The listed numbers in ``span``."""
        return tuple(number for number in self.listed if number in span)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A claim that one read supports: these, and no others, are the numbers in ``span``."""

    span: Span
    listed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the stream when the read is judged.

    ``frontier`` is the first unproven number. ``anchors`` are numbers below it that are stored and were listed
    again with the same content. ``anchored_in_time`` says that there is no such row left to see again, because
    the venue has forgotten it or never had one, but that all which could follow the frontier is younger than
    what it forgets. ``stored`` are the stored numbers at or above the frontier that the read must list to be
    believed, ``fresh`` those that were not stored before it. ``settled_to`` is the highest number known for at
    least the settling time when the read began.
    """

    frontier: int
    anchors: Collection[int]
    anchored_in_time: bool
    stored: Collection[int]
    fresh: Collection[int]
    settled_to: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """``proven`` is accepted; ``candidate`` awaits a second read that agrees; ``failed`` names the clauses broken."""

    proven: Span | None
    candidate: Candidate | None
    failed: tuple[Clause, ...]


def judge(reading: Reading, known: Known, previous: Candidate | None) -> Judgement:
    """Whether ``reading`` proves a span from the frontier on, alone or together with the ``previous`` claim."""
    right = _right_anchor(reading, known)
    failed = _broken(reading, known, right)
    if failed or right is None:
        return Judgement(None, None, failed)
    span = Span.inclusive(known.frontier, right)
    claim = Candidate(span, reading.between(span))
    if _fills_every_hole(claim, known.fresh):
        return Judgement(span, None, ())
    agreed = _agreed(claim, previous)
    failed = () if agreed else (Clause.STABLE,)
    return Judgement(agreed, claim, failed)


def _right_anchor(reading: Reading, known: Known) -> int | None:
    """The highest listed number that had settled when the read began."""
    settled = [number for number in reading.listed if known.frontier <= number <= known.settled_to]
    return max(settled, default=None)


def _broken(reading: Reading, known: Known, right: int | None) -> tuple[Clause, ...]:
    checks = (
        (Clause.LEFT_ANCHOR, _is_anchored(reading, known)),
        (Clause.RIGHT_ANCHOR, right is not None and _lists_what_is_stored(reading, known, right)),
        (Clause.TERMINAL, reading.ended or (right is not None and reading.listed[-1] > right)),
        (Clause.ORDERED, reading.whole and _ascends(reading.listed, reading.since)),
        (Clause.SETTLED, right is not None or not any(n >= known.frontier for n in reading.listed)),
        (Clause.RETAINED, _still_retained(reading, known)),
    )
    return tuple(clause for clause, holds in checks if not holds)


def _is_anchored(reading: Reading, known: Known) -> bool:
    begins_below = reading.since is None or reading.since < known.frontier
    return begins_below and (bool(known.anchors) or known.anchored_in_time)


def _lists_what_is_stored(reading: Reading, known: Known, right: int) -> bool:
    """A copy that lacks an event we hold lacks others too."""
    listed = set(reading.listed)
    return all(number in listed for number in known.stored if known.frontier <= number <= right)


def _ascends(listed: Sequence[int], since: int | None) -> bool:
    floor = 0 if since is None else since
    return all(low < high for low, high in zip((floor, *listed), listed, strict=False))


def _still_retained(reading: Reading, known: Known) -> bool:
    """One page is one look: its anchor was retained with the rest. Over several, it must be so at the end."""
    if reading.pages <= 1:
        return True
    first = max(known.anchors, default=reading.listed[0] if reading.listed else 0)
    return reading.oldest_after is not None and reading.oldest_after <= first


def _fills_every_hole(claim: Candidate, fresh: Collection[int]) -> bool:
    """Whether every run that was missing before the read got a row by it.

    Where a run got none, nothing tells an answer that is right from a copy that lags: that takes a second look.
    """
    begins, filled = claim.span.start, False
    for number in claim.listed:
        if number in fresh:
            filled = True
            continue
        if number > begins and not filled:
            return False
        begins, filled = number + 1, False
    return True


def _agreed(claim: Candidate, previous: Candidate | None) -> Span | None:
    """What both claims span, if they list the same numbers in it."""
    if previous is None:
        return None
    both = claim.span.intersect(previous.span)
    if both is None or both.start != claim.span.start:
        return None
    mine = [number for number in claim.listed if number in both]
    theirs = [number for number in previous.listed if number in both]
    return both if mine == theirs else None
