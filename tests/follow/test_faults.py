"""Each fault of the simulated venues, at all four at once: the log is whole in the end, or says what is missing."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.sim.demo.followed import ended
from bridge.sim.market import Faults
from tests.follow.playing import Playing, terms_of
from tests.follow.venues import VENUES, Venue, followed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
RATE_PER_S = 40.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, and how it shows that it was.

    ``faults`` are in force until ``counted`` has grown by ``times``, or to the end where it ``lasts``. ``order`` is
    given as well, with its body, because some faults show only while a connection is being made or lists are read.
    """

    faults: Mapping[str, object]
    counted: str
    times: int = 3
    order: str = ""
    body: Mapping[str, object] = field(default_factory=dict)
    lasts: bool = False
    swallows: bool = False
    doubles: bool = False


FRAMES = {
    "drop": Fault({"drop_rate": 0.3}, "dropped", 20, swallows=True),
    "corrupt": Fault({"corrupt_rate": 0.3}, "corrupted", 20, swallows=True),
    "duplicate": Fault({"duplicate_rate": 0.5}, "duplicated", 20, doubles=True),
    "reorder": Fault({"reorder_rate": 0.3}, "reordered", 20),
    "delay": Fault({"delay_rate": 0.5, "delay_max_s": 0.3}, "delayed", 20),
}
CONNECTIONS = {
    "refuse-upgrade": Fault({"refuse_upgrade_rate": 1.0}, "refused", order="cut"),
    "expired": Fault({"expired_rate": 1.0}, "met", 4, order="cut"),
    "cut": Fault({"cut_every_s": 0.7}, "cut"),
    "close": Fault({"close_every_s": 0.7, "close_code": 1012}, "closed"),
    "close-4001": Fault({"close_every_s": 0.7, "close_code": 4001}, "closed"),
    "silent": Fault({}, "accepted", 2, order="silence", body={"seconds": 1.5}),
    "half-open": Fault({"half_open": True}, "accepted", 2, order="silence", body={"seconds": 1.5}, lasts=True),
}
LISTS = {
    "throttle": Fault({"throttle_rate": 1.0}, "throttle", 8, order="cut"),
    "ban": Fault({"ban_rate": 1.0}, "ban", 3, order="cut"),
    "broken": Fault({"broken_rate": 1.0}, "broken", 8, order="cut"),
    "slow": Fault({"slow_rate": 0.7, "slow_s": 0.5}, "slow", order="cut", lasts=True),
    "short-page": Fault({"short_page_rate": 0.7}, "short_page", order="cut", lasts=True),
    "cursor-loop": Fault({"cursor_loop_rate": 0.3}, "cursor_loop", 2, order="cut", lasts=True),
    "lag": Fault({"lag_rate": 0.7, "lag_max_s": 0.8}, "lag", order="cut", lasts=True),
}
OUTAGES = {
    "down": Fault({}, "accepted", 2, order="down", body={"seconds": 1.0}),
    "down-aborting": Fault({"down_aborts": True}, "accepted", 2, order="down", body={"seconds": 1.0}, lasts=True),
}


@pytest.mark.parametrize("name", FAULTS := {**FRAMES, **CONNECTIONS, **LISTS, **OUTAGES})
async def test_what_is_broken_for_a_while_is_healed_or_told_as_missing(engine: AsyncEngine, name: str) -> None:
    async with AsyncExitStack() as stack:
        plays = {one: await followed(stack, engine, venue) for one, venue in VENUES.items()}
        await side_by_side(course(seen, VENUES[one], FAULTS[name]) for one, seen in plays.items())


@pytest.mark.parametrize("skew_s", [-3.0, 3.0])
async def test_a_venue_whose_clock_is_wrong_is_followed_by_that_clock(engine: AsyncEngine, skew_s: float) -> None:
    cut = Fault({}, "cut", 1, order="cut")
    async with AsyncExitStack() as stack:
        faults = Faults(skew_s=skew_s)
        plays = {one: await followed(stack, engine, venue, faults=faults) for one, venue in VENUES.items()}
        await side_by_side(course(seen, VENUES[one], cut) for one, seen in plays.items())


async def side_by_side(courses: Iterable[Coroutine[object, object, None]]) -> None:
    """Let all of them end, and say what was wrong with each."""
    ends = await asyncio.gather(*courses, return_exceptions=True)
    assert not any(ends), "\n".join(
        repr(end) if not isinstance(end, AssertionError) else str(end) for end in ends if end
    )


async def course(seen: Playing, venue: Venue, fault: Fault) -> None:
    """Let the venue go, break it, mend it, let it go on; then judge."""
    await seen.begun()
    await seen.venue.order("rate", events_per_s=RATE_PER_S)
    await has_grown(seen, venue.trades, 5)
    before = await counted(seen, fault.counted)
    series = [channel.series for channel in seen.source.channels]
    only = [one for one in series if not (fault.doubles and one.startswith(venue.twice))]
    await seen.venue.order("faults", **fault.faults, only=only)
    if fault.order:
        await seen.venue.order(fault.order, **fault.body)
    await seen.until(lambda: has_counted(seen, fault.counted, before + fault.times))
    if not fault.lasts:
        await seen.venue.order("faults", **ended(Faults().patched(fault.faults)))
    await has_grown(seen, venue.trades, 10)
    await seen.venue.order("stop")
    await seen.venue.order("drain")
    if fault.swallows:
        await seen.until(lambda: is_audited(seen))
    await seen.whole()


class State(msgspec.Struct):
    """What the venue says of itself."""

    wire_counts: dict[str, int]
    rest_counts: dict[str, int]
    socket_counts: dict[str, int]


async def counted(seen: Playing, name: str) -> int:
    """How often it happened; ``met`` are all who came for a socket."""
    state = msgspec.json.decode((await seen.venue.http.get("/_sim/")).content, type=State)
    counts = {**state.wire_counts, **state.rest_counts, **state.socket_counts}
    return counts["accepted"] + counts["refused"] if name == "met" else counts.get(name, 0)


async def has_counted(seen: Playing, name: str, count: int) -> bool:
    return await counted(seen, name) >= count


async def has_grown(seen: Playing, series: str, more: int) -> None:
    """Wait until the log of ``series`` holds so many entries more."""

    async def position() -> int:
        stream = await seen.stream(series)
        return 0 if stream is None else stream.position

    wanted = await position() + more

    async def has_entries() -> bool:
        return await position() >= wanted

    await seen.until(has_entries)


async def is_audited(seen: Playing) -> bool:
    """Read the lists again: whether nothing that they hold is missing any more."""
    await seen.follower.audit()
    terms = {channel.series: terms_of(seen.source.name, channel) for channel in seen.source.channels}
    listed = [series for series, term in terms.items() if term.repairs and not term.repaired]
    verdicts = [await seen.verdict(series) for series in listed]
    return all(verdict.good and not verdict.unnoticed for verdict in verdicts)
