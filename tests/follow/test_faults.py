"""Every fault of the simulated venues, at all four side by side: the log ends whole, or says what is missing."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.sim.demo.followed import ended
from bridge.sim.market import Faults
from bridge.store import reads
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


CUT = Fault({}, "cut", 1, order="cut")
FAMILIES = {
    "frames": (
        Fault({"drop_rate": 0.3}, "dropped", 20, swallows=True),
        Fault({"corrupt_rate": 0.3}, "corrupted", 20, swallows=True),
        Fault({"duplicate_rate": 0.5}, "duplicated", 20, doubles=True),
        Fault({"reorder_rate": 0.3}, "reordered", 20),
        Fault({"delay_rate": 0.5, "delay_max_s": 0.3}, "delayed", 20),
    ),
    "connections": (
        Fault({"refuse_upgrade_rate": 1.0}, "refused", order="cut"),
        Fault({"expired_rate": 1.0}, "met", 4, order="cut"),
        Fault({"cut_every_s": 0.7}, "cut"),
        Fault({"close_every_s": 0.7, "close_code": 1012}, "closed", 2),
        Fault({"close_every_s": 0.7, "close_code": 4001}, "closed", 2),
    ),
    "silence": (
        Fault({}, "accepted", 2, order="silence", body={"seconds": 1.5}),
        Fault({"half_open": True}, "accepted", 2, order="silence", body={"seconds": 1.5}, lasts=True),
    ),
    "lists": (
        Fault({"throttle_rate": 1.0}, "throttle", 8, order="cut"),
        Fault({"ban_rate": 1.0}, "ban", 3, order="cut"),
        Fault({"broken_rate": 1.0}, "broken", 8, order="cut"),
        Fault({"slow_rate": 0.7, "slow_s": 0.5}, "slow", order="cut"),
        Fault({"short_page_rate": 0.7}, "short_page", order="cut"),
        Fault({"cursor_loop_rate": 0.3}, "cursor_loop", 2, order="cut"),
        Fault({"lag_rate": 0.7, "lag_max_s": 0.8}, "lag", order="cut", lasts=True),
    ),
    "outages": (
        Fault({}, "accepted", 2, order="down", body={"seconds": 1.0}),
        Fault({"down_aborts": True}, "accepted", 2, order="down", body={"seconds": 1.0}, lasts=True),
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_broken_for_a_while_is_healed_or_told_as_missing(engine: AsyncEngine, family: str) -> None:
    async with AsyncExitStack() as stack:
        plays = {one: await followed(stack, engine, venue) for one, venue in VENUES.items()}
        await side_by_side(course(seen, VENUES[one], *FAMILIES[family]) for one, seen in plays.items())


def test_no_fault_of_the_simulated_venues_is_left_out() -> None:
    """Periods and lengths of spells are other ways to order what is ordered here."""
    played = {name for faults in FAMILIES.values() for fault in faults for name in fault.faults}
    left = {"only", "reorder_frames_max", "silence_every_s", "silence_s", "down_every_s", "down_s", "skew_s"}
    assert played | left == {one.name for one in fields(Faults)}


@pytest.mark.parametrize("skew_s", [-3.0, 3.0])
async def test_a_venue_whose_clock_is_wrong_is_followed_by_that_clock(engine: AsyncEngine, skew_s: float) -> None:
    async with AsyncExitStack() as stack:
        faults = Faults(skew_s=skew_s)
        plays = {one: await followed(stack, engine, venue, faults=faults) for one, venue in VENUES.items()}
        await side_by_side(course(seen, VENUES[one], CUT) for one, seen in plays.items())


async def side_by_side(courses: Iterable[Coroutine[object, object, None]]) -> None:
    """Let all of them end, and say what was wrong with each."""
    ends = await asyncio.gather(*courses, return_exceptions=True)
    assert not any(ends), "\n".join(
        repr(end) if not isinstance(end, AssertionError) else str(end) for end in ends if end
    )


async def course(seen: Playing, venue: Venue, *faults: Fault) -> None:
    """Let the venue go, break it in one way after the other, let it go on; then judge."""
    await seen.begun()
    await seen.venue.order("rate", events_per_s=RATE_PER_S)
    for fault in faults:
        await goes_on(seen, venue.trades, 5)
        await suffer(seen, venue, fault)
    await is_told(seen, venue.trades, 10)
    for channel in seen.source.channels:
        if channel.in_session:  # a book asks for what it missed once it is told something new
            await is_told(seen, channel.series, 3)
    await seen.venue.order("stop")
    await seen.venue.order("drain")
    if any(fault.swallows for fault in faults):
        await seen.until(lambda: is_audited(seen))
        await is_on_record(seen)
    await seen.whole()


async def suffer(seen: Playing, venue: Venue, fault: Fault) -> None:
    """Break the venue until it shows."""
    series = [channel.series for channel in seen.source.channels]
    only = [one for one in series if not (fault.doubles and one.startswith(venue.twice))]
    before = await counted(seen, fault.counted)
    await seen.venue.order("faults", **fault.faults, only=only)
    if fault.order:
        await seen.venue.order(fault.order, **fault.body)
    await seen.until(lambda: has_counted(seen, fault.counted, before + fault.times))
    if not fault.lasts:
        await seen.venue.order("faults", **ended(Faults().patched(fault.faults)))


class State(msgspec.Struct):
    """What the venue says of itself."""

    series: dict[str, dict[str, int]]
    wire_counts: dict[str, int]
    rest_counts: dict[str, int]
    socket_counts: dict[str, int]


async def state_of(seen: Playing) -> State:
    return msgspec.json.decode((await seen.venue.http.get("/_sim/")).content, type=State)


async def counted(seen: Playing, name: str) -> int:
    """How often it happened; ``met`` are all who came for a socket."""
    state = await state_of(seen)
    counts = {**state.wire_counts, **state.rest_counts, **state.socket_counts}
    return counts["accepted"] + counts["refused"] if name == "met" else counts.get(name, 0)


async def has_counted(seen: Playing, name: str, count: int) -> bool:
    return await counted(seen, name) >= count


async def goes_on(seen: Playing, series: str, more: int) -> None:
    """Wait until so many events more have happened in ``series``, whether anybody has heard of them or not."""

    async def assigned() -> int:
        return (await state_of(seen)).series.get(series, {}).get("assigned", 0)

    wanted = await assigned() + more

    async def have_happened() -> bool:
        return await assigned() >= wanted

    await seen.until(have_happened)


async def is_told(seen: Playing, series: str, more: int) -> None:
    """Wait until the log of ``series`` holds so many entries more."""

    async def position() -> int:
        stream = await seen.stream(series)
        return 0 if stream is None else stream.position

    wanted = await position() + more

    async def are_held() -> bool:
        return await position() >= wanted

    await seen.until(are_held)


async def is_on_record(seen: Playing) -> None:
    """What audits found is counted, and down as gaps that they healed; gaps have the reads that were tried."""
    of_source = "JOIN streams s ON s.id = stream_id WHERE s.source = :source"
    source = {"source": seen.source.name}
    async with seen.engine.connect() as connection:
        counted = text(f"SELECT sum(fresh), sum(rows) FROM audits {of_source}")
        fresh, rows = (await connection.execute(counted, source)).one()
        healed = text(f"SELECT sum(found) FROM gaps {of_source} AND healed_by = 'audit' AND axis = 'time'")
        assert 0 < fresh == (await connection.execute(healed, source)).scalar_one()
        assert rows > fresh
        asked = text(
            f"SELECT gaps.id, reads FROM gaps {of_source} AND reads > 0 AND healed_by IS DISTINCT FROM 'audit'"
        )
        for gap_id, count in (await connection.execute(asked, source)).all():
            kept = await reads.of_gap(connection, gap_id=gap_id, limit=1000)
            answered = sum(one.error is None for one in kept)
            assert answered >= count, f"gap {gap_id} counts {count} reads, and {answered} are on record"


async def is_audited(seen: Playing) -> bool:
    """Read the lists again: whether nothing that they hold is missing any more."""
    await seen.follower.audit()
    terms = {channel.series: terms_of(seen.source.name, channel) for channel in seen.source.channels}
    listed = [series for series, term in terms.items() if term.repairs and not term.repaired]
    verdicts = [await seen.verdict(series) for series in listed]
    return all(verdict.good and not verdict.unnoticed for verdict in verdicts)
