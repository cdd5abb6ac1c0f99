"""A stream as ``bridge status`` shows it: one row among others, or everything that is known of it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import floor

from bridge.cli import show
from bridge.store.condition import FINE, condition
from bridge.store.connections import Connection
from bridge.store.overview import Heard
from bridge.store.stance import Stance

COLUMNS = ("stream", "model", "repair", "position", "lag", "gaps", "complete", "state")
DAY = timedelta(days=1)


def row(stance: Stance, connection: Connection | None, now: datetime) -> list[object]:
    """The stream under ``COLUMNS``. What is never complete as far as anybody can tell has a dash there."""
    stream, follow, gaps = stance.stream, stance.follow, stance.gaps
    state, _ = condition(stance, connection, now)
    deadline = "" if gaps is None or gaps.deadline_at is None else f", {show.until(gaps.deadline_at, now)}"
    return [
        stream.name,
        None if follow is None else follow.model,
        None if follow is None else follow.repair,
        stream.position,
        _lag(stance, now),
        "0" if gaps is None else f"{gaps.spans}{deadline}",
        share(stance),
        show.state(state, fine=FINE),
    ]


def share(stance: Stance) -> str | None:
    """The completeness in percent, rounded down: only what is whole is 100 %. None where it cannot be verified."""
    part = stance.completeness.share
    return None if part is None else f"{floor(part * 10_000) / 100:g} %"


def facts(
    stance: Stance, connection: Connection | None, heard: Mapping[str, Heard], now: datetime
) -> Iterator[tuple[str, object]]:
    """Everything that is known of the stream, each with its name."""
    stream, follow, gaps = stance.stream, stance.follow, stance.gaps
    state, detail = condition(stance, connection, now)
    yield "state", show.state(f"{state}: {detail}" if detail else state, fine=FINE)
    yield "source", stream.source
    if follow is not None:
        yield "model", follow.model
        yield "repair", follow.repair
        yield "reach", follow.reach
        yield "unnoticed", follow.unnoticed or "nothing: every loss shows"
    yield "complete", share(stance) or f"unknown: {_why(stance)}"
    if stance.axis == "time":
        yield "settled until", moment(stance.settled_until, now)
        yield "last number", None if follow is None else follow.last_number
    yield "lag", _lag(stance, now)
    yield "position", stream.position
    yield "epoch, frontier, head", f"{stream.epoch}, {show.plain(stream.frontier)}, {stream.head}"
    yield "settle", show.seconds(stream.settle_s)
    if follow is not None:
        yield "dropped", f"{follow.dropped} found no room, and were asked for again" if follow.dropped else 0
    yield "unmatched", stream.unmatched
    if gaps is None:
        yield "gaps", "none is open"
    else:
        yield "gaps", f"{gaps.spans} open, the oldest for {show.ago(gaps.oldest_at, now)}"
        if gaps.deadline_at is not None:
            yield "deadline", show.until(gaps.deadline_at, now)
    for transport, told in heard.items():
        ago = show.ago(told.last_at, now)
        yield f"by {transport}", f"told {told.events} times, first {told.first} times, last {ago} ago"
    yield "chain", stream.chain.hex()


def moment(at: datetime | None, now: datetime) -> str | None:
    """A time in UTC, with the day where it is not of the last day."""
    if at is None:
        return None
    form = "%H:%M:%S" if abs(now - at) < DAY else "%Y-%m-%d %H:%M:%S"
    return f"{at.astimezone(UTC).strftime(form)}Z"


def _why(stance: Stance) -> str | None:
    """Why nobody can say how complete the stream is, in few words: what goes unnoticed has a line of its own."""
    declared = stance.follow is not None and stance.follow.unnoticed is not None
    return "not every loss shows" if declared else stance.completeness.reason


def _lag(stance: Stance, now: datetime) -> str | None:
    """Numbers, or time: whichever the stream is proven in."""
    lag_s = stance.lag_s(now)
    if lag_s is not None:
        return show.seconds(lag_s)
    return None if stance.lag is None else str(stance.lag)
