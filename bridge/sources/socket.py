"""A venue's socket, kept open for ever: pings, a watchdog for silence, and a backoff that storms cannot reset.

Knows no venue: what is said on the socket is a ``Conversation``. Says nothing of addresses and keys.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from bridge.clock import Clock
from bridge.core.retry import backoff_s
from bridge.sources.base import Disconnected, LiveUpdate
from bridge.sources.loud import Loud
from bridge.sources.wire import Closed, Wire

_REFUSED_SPREAD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """When the session acts. ``steady_s``: how long a session lasts before its traffic resets the backoff."""

    ping_interval_s: float = 25.0
    silence_s: float = 60.0
    acknowledge_timeout_s: float = 10.0
    steady_s: float = 5.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    refused_retry_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What follows from a frame: what to say, what to pass on, and if it proves that the venue is alive.

    ``odd`` names what should not have been in it, for the log.
    """

    updates: tuple[LiveUpdate, ...] = ()
    say: tuple[str, ...] = ()
    alive: bool = False
    odd: str | None = None
    detail: str = ""


class Conversation(Protocol):
    """A venue's side of one connection. Pure: what was heard in, what to do out."""

    @property
    def ready(self) -> bool:
        """Authenticated and subscribed."""
        ...

    def hear(self, frame: bytes) -> Heard: ...

    def overdue(self) -> Heard | None:
        """What to do when an acknowledgement did not come in time; None gives the connection up."""
        ...

    def ping(self) -> str: ...


class Due(Enum):
    """What the time demands."""

    NOTHING = auto()
    PING = auto()
    ACKNOWLEDGEMENT = auto()
    SILENCE = auto()


@dataclass(slots=True)
class Timers:
    """The session's times, in seconds of a clock that only grows."""

    limits: SocketLimits
    heard_at: float
    pinged_at: float
    asked_at: float

    @classmethod
    def start(cls, limits: SocketLimits, now: float) -> "Timers":
        return cls(limits, heard_at=now, pinged_at=now, asked_at=now)

    def due(self, now: float, *, ready: bool) -> Due:
        """The most pressing of what is due."""
        if now >= self.heard_at + self.limits.silence_s:
            return Due.SILENCE
        if not ready and now >= self.asked_at + self.limits.acknowledge_timeout_s:
            return Due.ACKNOWLEDGEMENT
        return Due.PING if now >= self.pinged_at + self.limits.ping_interval_s else Due.NOTHING

    def wait_s(self, now: float, *, ready: bool) -> float:
        """How long nothing will be due if nothing is heard."""
        at = min(self.heard_at + self.limits.silence_s, self.pinged_at + self.limits.ping_interval_s)
        if not ready:
            at = min(at, self.asked_at + self.limits.acknowledge_timeout_s)
        return max(0.0, at - now)


def pause_s(*, refused: bool, failures: int, limits: SocketLimits, jitter: float) -> float:
    """How long to stay away after the ``failures``-th end in a row without a steady session between."""
    if refused:
        return limits.refused_retry_s * (1 + _REFUSED_SPREAD * jitter)
    return backoff_s(failures, first_s=limits.backoff_first_s, max_s=limits.backoff_max_s, jitter=jitter)


class LiveSocket:
    """Dials, talks and dials again. ``jitter`` gives numbers in [0, 1)."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[Wire]],
        begin: Callable[[], Conversation],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud,
        limits: SocketLimits | None = None,
    ) -> None:
        self._dial = dial
        self._begin = begin
        self._clock = clock
        self._jitter = jitter
        self._loud = loud
        self._limits = limits or SocketLimits()
        self._steady = False

    async def updates(self) -> AsyncGenerator[LiveUpdate, None]:
        """What the socket says, for ever."""
        failures = 0
        while True:
            self._steady = False
            try:
                async with aclosing(self._session()) as said:
                    async for update in said:
                        yield update
            except Closed as end:
                failures = 1 if self._steady else failures + 1
                yield Disconnected(end.reason, misconfigured=end.refused)
                await self._clock.sleep(
                    pause_s(refused=end.refused, failures=failures, limits=self._limits, jitter=self._jitter())
                )

    async def _session(self) -> AsyncGenerator[LiveUpdate, None]:
        """One connection, from dialling to its end. Raises Closed."""
        wire = await self._dial()
        try:
            conversation = self._begin()
            opened_at = self._clock.monotonic()
            timers = Timers.start(self._limits, opened_at)
            while True:
                wait_s = timers.wait_s(self._clock.monotonic(), ready=conversation.ready)
                frame = await wire.receive(wait_s)
                now = self._clock.monotonic()
                if frame is not None:
                    timers.heard_at = now
                    heard = self._note(conversation.hear(frame), timers, now)
                    self._steady |= heard.alive and conversation.ready and now - opened_at >= self._limits.steady_s
                    for update in heard.updates:
                        yield update
                    await _say(wire, heard.say)
                for update in await self._on_time(wire, conversation, timers):
                    yield update
        finally:
            await wire.close()

    async def _on_time(self, wire: Wire, conversation: Conversation, timers: Timers) -> tuple[LiveUpdate, ...]:
        now = self._clock.monotonic()
        match timers.due(now, ready=conversation.ready):
            case Due.SILENCE:
                raise Closed("silent")
            case Due.ACKNOWLEDGEMENT:
                overdue = conversation.overdue()
                if overdue is None:
                    raise Closed("no acknowledgement")
                timers.asked_at = now
                await _say(wire, self._note(overdue, timers, now).say)
                return overdue.updates
            case Due.PING:
                timers.pinged_at = now
                await _say(wire, (conversation.ping(),))
            case Due.NOTHING:
                pass
        return ()

    def _note(self, heard: Heard, timers: Timers, now: float) -> Heard:
        if heard.say:
            timers.asked_at = now
        if heard.odd is not None:
            self._loud.say(heard.odd, detail=heard.detail)
        return heard


async def _say(wire: Wire, frames: tuple[str, ...]) -> None:
    for frame in frames:
        await wire.send(frame)
