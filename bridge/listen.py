"""A source's live loop: what the socket says goes through the door, and every event rings the bell.

A slow database never stops the reading: what waits is bounded, and what does not fit is dropped aloud. The
numbered stream loses nothing by that, because its tail is read again. Who may listen is the caller's business.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol

from bridge.clock import Clock
from bridge.core.errors import Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.sources.base import Connected, Disconnected, LiveUpdate
from bridge.sources.loud import Loud

State = Literal["connecting", "connected", "disconnected", "misconfigured"]
_AWAY = (Overloaded, StoreUnavailable)


class Connection(NamedTuple):
    """What people are told of a source's socket."""

    state: State
    detail: str = ""


class Streams(NamedTuple):
    """Where what the socket says goes, and whose tail is read again because of it."""

    told: str
    numbered: str


Report = Callable[[Connection], Awaitable[None]]


class ListeningDoor(Protocol):
    """The part of the door that a listener knows."""

    async def accept(self, stream: str, events: Sequence[Event], *, transport: Transport) -> object: ...

    async def ring(self, stream: str) -> None: ...


class ListeningSource(Protocol):
    """The part of a source that a listener knows."""

    @property
    def name(self) -> str: ...

    def live(self) -> AsyncGenerator[LiveUpdate, None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenLimits:
    """``ring_every_s``: the bell is not rung more often, but always once more after the last event."""

    events_waiting_max: int = 10_000
    batch_events_max: int = 500
    ring_every_s: float = 0.05
    retry_s: float = 0.5


async def listen(
    source: ListeningSource,
    door: ListeningDoor,
    clock: Clock,
    report: Report,
    *,
    streams: Streams,
    limits: ListenLimits | None = None,
    loud: Loud | None = None,
) -> None:
    """Listen until cancelled. ``report`` is told the connection's state whenever it changes, the newest only."""
    listener = _Listener(source, door, clock, report, streams, limits or ListenLimits(), loud or Loud(clock))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.read())
        tasks.create_task(listener.store())
        tasks.create_task(listener.ring())
        tasks.create_task(listener.tell())


class _Listener:
    """Four loops over what they hand each other. None of them waits for another's database call."""

    def __init__(
        self,
        source: ListeningSource,
        door: ListeningDoor,
        clock: Clock,
        report: Report,
        streams: Streams,
        limits: ListenLimits,
        loud: Loud,
    ) -> None:
        self._source = source
        self._door = door
        self._clock = clock
        self._report = report
        self._streams = streams
        self._limits = limits
        self._loud = loud
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._bell = asyncio.Event()
        self._connection = Connection("connecting")
        self._changed = asyncio.Event()
        self._changed.set()

    async def read(self) -> None:
        """Take what the socket says, as fast as it says it."""
        async with aclosing(self._source.live()) as updates:
            async for update in updates:
                match update:
                    case Event():
                        self._keep(update)
                    case Connected():
                        self._became(Connection("connected"))
                        self._bell.set()  # what was not heard in the meantime is in the replay
                    case Disconnected(reason, misconfigured):
                        self._became(Connection("misconfigured" if misconfigured else "disconnected", reason))

    async def store(self) -> None:
        """Hand what waits to the door, until the door takes it."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                size = min(len(self._waiting), self._limits.batch_events_max)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._until_taken(
                    partial(self._door.accept, self._streams.told, batch, transport=Transport.WEBSOCKET)
                )

    async def ring(self) -> None:
        """Have the numbered stream's tail read."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await self._until_taken(partial(self._door.ring, self._streams.numbered))
            await self._clock.sleep(self._limits.ring_every_s)

    async def tell(self) -> None:
        """Report the connection's newest state."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._until_taken(lambda: self._report(self._connection))

    def _keep(self, event: Event) -> None:
        self._bell.set()
        if len(self._waiting) >= self._limits.events_waiting_max:
            self._loud.say("frame.dropped", source=self._source.name)
            return
        self._waiting.append(event)
        self._arrived.set()

    def _became(self, connection: Connection) -> None:
        if connection != self._connection:
            self._connection = connection
            self._changed.set()

    async def _until_taken(self, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except _AWAY as error:
                self._loud.say("listener.waiting", source=self._source.name, reason=type(error).__name__)
                await self._clock.sleep(self._limits.retry_s)
            else:
                return
