"""Known bugs, switched back on: the promises must notice every one of them, or they test nothing."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core import proof
from bridge.core.coverage import Coverage
from bridge.core.errors import VenueError
from bridge.core.numbering import Numbering
from bridge.core.settle import Settled, settle
from bridge.core.span import Span
from bridge.ingest import Base, Finding, settling, transaction
from bridge.reconcile import proving, reconciler, suspicion
from bridge.reconcile.proving import Prover
from bridge.sim.playbatman import Faults
from bridge.store import events
from bridge.store.evidence import Evidence
from tests.laws.test_promises import live
from tests.laws.world import World

pytestmark = pytest.mark.anyio

SEEDS_MAX = 12

Switch = Callable[[pytest.MonkeyPatch], None]


def advance_to_max(patch: pytest.MonkeyPatch) -> None:
    """Read "the newest number we hold" as "we hold everything up to it"."""

    def jump(frontier: int, *, present: Sequence[int], proven: Coverage, lost: Coverage, until: int) -> Settled:
        everything = Coverage.of([Span(frontier, until)]) if until > frontier else proven
        return settle(frontier, present=present, proven=everything, lost=lost, until=until)

    patch.setattr(settling, "settle", jump)


def cursor_from_live(patch: pytest.MonkeyPatch) -> None:
    """Let a live event advance the replay cursor."""

    async def edge(_self: Any, stream: Any) -> int | None:
        return max(stream.head - 1, 0) or None

    patch.setattr(Prover, "_left_edge", edge)
    patch.setattr(proof, "_is_anchored", lambda _reading, _known: True)


def accept_an_unsettled_read(patch: pytest.MonkeyPatch) -> None:
    """Take the newest number in an answer for the end of what was assigned."""
    patch.setattr(Prover, "settled_to", lambda _self, stream: stream.head)


def accept_any_empty_page(patch: pytest.MonkeyPatch) -> None:
    """Take an answer that lists nothing behind the frontier for proof that nothing is there."""

    def judge(reading: Any, known: Any, previous: Any) -> Any:
        ahead = [number for number in reading.listed if number >= known.frontier]
        if reading.ended and not ahead and known.settled_to >= known.frontier:
            return proof.Judgement(Span.inclusive(known.frontier, known.settled_to), None, ())
        return proof.judge(reading, known, previous)

    patch.setattr(proving, "judge", judge)


def begin_at_the_first_event_heard(patch: pytest.MonkeyPatch) -> None:
    """Ask nobody where the numbers begin."""

    async def base(replay: Any, _limits: Any, _now: Any) -> Base:
        page = await replay.page(since=3, limit=1)
        if not page.events:
            raise VenueError("nothing was heard yet")
        return Base(page.events[0].sequence, page.events[0].occurred_at)

    async def nothing(_work: Any) -> None:
        return None

    patch.setattr(reconciler, "find_base", base)
    patch.setattr(transaction, "_tell_late", nothing)


def drop_the_batch_on_one_duplicate(patch: pytest.MonkeyPatch) -> None:
    """Let one number that is stored already refuse the whole batch it came in."""
    insert = events.insert

    async def all_or_nothing(conn: Any, **values: Any) -> set[int]:
        numbers = [event.sequence for event, _ in values["heard"]]
        known = await events.stored(conn, stream_id=values["stream_id"], epoch=values["epoch"], sequences=numbers)
        return set() if known else await insert(conn, **values)

    async def stored(conn: Any, **values: Any) -> dict[int, Any]:
        found = await real_stored(conn, **values)
        return {number: found.get(number, FORGIVING) for number in values["sequences"]}

    real_stored = events.stored
    patch.setattr("bridge.ingest.transaction.events.insert", all_or_nothing)
    patch.setattr("bridge.ingest.repeats.events.stored", stored)
    patch.setattr("bridge.ingest.repeats.same_content", lambda _one, _other: True)

    async def payload(_conn: Any, **_values: Any) -> bytes:
        return b"{}"

    patch.setattr("bridge.ingest.repeats.events.payload", payload)


FORGIVING = events.Stored("", "", "", b"")


def call_an_empty_answer_a_loss(patch: pytest.MonkeyPatch) -> None:
    """Take "not listed" for "gone", without asking whether the venue can have forgotten it yet."""

    async def declare(self: Any, stream: Any, _so_far: Any) -> bool:
        if stream.head >= stream.frontier:
            loss = Evidence(Span.inclusive(stream.frontier, stream.head), "loss", {})
            await self._door.record(stream.name, Finding(stream.epoch, (loss,)))
        return True

    patch.setattr(reconciler, "forgotten", lambda _at, _venue_now, _limits: True)
    patch.setattr(Prover, "declare_loss", declare)


def take_any_answer_for_a_new_epoch(patch: pytest.MonkeyPatch) -> None:
    """Seal the epoch whenever the venue had to be asked, without comparing."""
    patch.setattr(suspicion, "judge_numbering", lambda **_look: Numbering.RESTARTED)
    patch.setattr(suspicion, "LOOKS", 1)


SWITCHES = [
    advance_to_max,
    cursor_from_live,
    accept_an_unsettled_read,
    accept_any_empty_page,
    begin_at_the_first_event_heard,
    drop_the_batch_on_one_duplicate,
    call_an_empty_answer_a_loss,
    take_any_answer_for_a_new_epoch,
]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.__name__)
async def test_the_promises_notice(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, switch: Switch) -> None:
    switch(monkeypatch)
    for seed in range(SEEDS_MAX):
        name = f"{switch.__name__.replace('_', '-')}-{seed}.events"
        async with World(engine, seed=seed, faults=Faults.draw(Random(seed)), name=name) as world:
            try:
                await live(world)
                await world.check_nothing_late()
                await check_honest(world)
            except AssertionError:
                return
    pytest.fail(f"{switch.__name__} went unnoticed over {SEEDS_MAX} seeds")


async def check_honest(world: World) -> None:
    """Nothing was lost and nothing restarted, so nothing of the kind may be told."""
    assert {entry.kind.value for entry in await world.entries()} <= {"event"}
