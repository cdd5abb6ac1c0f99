"""A source's live loop: through the door, with the bell, however slow the door is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bridge.clock import ManualClock
from bridge.core.errors import BridgeError, Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.listen import Connection, ListenLimits, Streams, listen
from bridge.sources.base import Connected, Disconnected, LiveUpdate
from bridge.sources.loud import Loud
from tests.events import event

PATIENCE_S = 10
STREAMS = Streams(told="pb.ws", numbered="pb.events")


class Radio:
    """A source that says what it is given."""

    name = "pb"

    def __init__(self) -> None:
        self._said: asyncio.Queue[LiveUpdate] = asyncio.Queue()
        self.closed = False

    def say(self, *updates: LiveUpdate) -> None:
        for update in updates:
            self._said.put_nowait(update)

    async def live(self) -> AsyncGenerator[LiveUpdate, None]:
        try:
            while True:
                yield await self._said.get()
                self._said.task_done()
        finally:
            self.closed = True

    async def heard(self) -> None:
        """Return when everything said so far was taken."""
        await self._said.join()


@dataclass
class Door:
    """Takes events when it is open; ``faults`` come first."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    faults: list[BridgeError] = field(default_factory=list)
    batches: list[tuple[str, list[Event], Transport]] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    async def accept(self, stream: str, events: Sequence[Event], *, transport: Transport) -> None:
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append((stream, list(events), transport))
        await self._tell()

    async def ring(self, stream: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.rung.append(stream)
        await self._tell()

    async def report(self, connection: Connection) -> None:
        self.connections.append(connection)
        await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    @property
    def taken(self) -> list[Event]:
        return [one for _, events, _ in self.batches for one in events]


@dataclass
class Set:
    radio: Radio
    door: Door
    loud: Loud

    async def until(self, *, taken: int = 0, rung: int = 0, reported: Connection | None = None) -> None:
        door = self.door
        async with asyncio.timeout(PATIENCE_S), door.changed:
            await door.changed.wait_for(
                lambda: (
                    len(door.taken) >= taken
                    and len(door.rung) >= rung
                    and (reported is None or door.connections[-1:] == [reported])
                )
            )


@asynccontextmanager
async def listening(*, waiting_max: int = 100, batch_max: int = 10) -> AsyncIterator[Set]:
    clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
    radio, door = Radio(), Door()
    door.open.set()
    loud = Loud(clock, write=lambda name, **fields: None)
    limits = ListenLimits(events_waiting_max=waiting_max, batch_events_max=batch_max)
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(listen(radio, door, clock, door.report, streams=STREAMS, limits=limits, loud=loud))
        yield Set(radio, door, loud)
        loop.cancel()
    assert radio.closed


def events(count: int) -> list[Event]:
    return [event(None, event_id=f"ws:{number}") for number in range(count)]


async def test_every_event_goes_to_the_sources_own_stream_in_order_and_rings_the_bell() -> None:
    async with listening() as at:
        at.radio.say(Connected(), *events(25))
        await at.until(taken=25, rung=1)
        assert at.door.taken == events(25)
        assert {(stream, transport) for stream, _, transport in at.door.batches} == {("pb.ws", Transport.WEBSOCKET)}
        assert set(at.door.rung) == {"pb.events"}


async def test_what_waits_goes_together_and_no_batch_is_too_large() -> None:
    async with listening(batch_max=10) as at:
        at.door.open.clear()
        at.radio.say(*events(25))
        await at.radio.heard()
        at.door.open.set()
        await at.until(taken=25)
        sizes = [len(batch) for _, batch, _ in at.door.batches]
        assert max(sizes) <= 10
        assert len(sizes) <= 4


async def test_a_connection_rings_the_bell_before_any_event() -> None:
    async with listening() as at:
        at.radio.say(Connected())
        await at.until(rung=1)


async def test_the_last_event_is_never_left_without_a_bell() -> None:
    async with listening() as at:
        for count in range(1, 6):
            rung = len(at.door.rung)
            at.radio.say(*events(1))
            await at.until(taken=count, rung=rung + 1)


async def test_an_event_that_the_door_cannot_take_now_is_offered_again() -> None:
    async with listening() as at:
        at.door.faults = [StoreUnavailable("away"), Overloaded("full"), StoreUnavailable("away")]
        at.radio.say(*events(3))
        await at.until(taken=3, rung=1)
        assert at.door.taken == events(3)
        assert at.loud.counts["listener.waiting"] == 3


async def test_a_slow_door_does_not_stop_the_reading_and_what_does_not_fit_is_dropped_aloud() -> None:
    async with listening(waiting_max=20, batch_max=5) as at:
        at.door.open.clear()
        at.radio.say(*events(1000))
        await at.radio.heard()
        at.door.open.set()
        await at.until(taken=20, rung=1)
        kept = len(at.door.taken)
        assert 20 <= kept <= 25
        assert at.loud.counts["frame.dropped"] == 1000 - kept


async def test_changes_of_the_connection_are_reported() -> None:
    async with listening() as at:
        await at.until(reported=Connection("connecting"))
        at.radio.say(Connected())
        await at.until(reported=Connection("connected"))
        at.radio.say(Disconnected("cut"))
        await at.until(reported=Connection("disconnected", "cut"))
        at.radio.say(Disconnected("HTTP 401", misconfigured=True))
        await at.until(reported=Connection("misconfigured", "HTTP 401"))


async def test_the_same_state_again_is_not_reported_again() -> None:
    async with listening() as at:
        cut = Connection("disconnected", "cut")
        at.radio.say(Disconnected("cut"))
        await at.until(reported=cut)
        at.radio.say(Disconnected("cut"), event(None))
        await at.until(taken=1)
        at.radio.say(Connected())
        await at.until(reported=Connection("connected"))
        assert at.door.connections.count(cut) == 1
