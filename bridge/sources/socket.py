"""A venue's socket, kept open for ever: pings, a watchdog for silence, and a backoff that storms cannot reset.

One ping is on its way at a time, and until it is answered nothing that is heard proves anything: a venue that
swallowed a ping may have swallowed more, however much it says afterwards.

Knows no venue: what is said on the socket is a ``Conversation``. Says nothing of addresses and keys.
"""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from bridge.clock import Clock
from bridge.core.channel import Channel
from bridge.core.retry import backoff_s
from bridge.sources.base import Alive, Disconnected, LiveUpdate
from bridge.sources.loud import Loud
from bridge.sources.wire import Closed, Wire

_REFUSED_SPREAD = 0.1
OVERTAKEN_MAX = 4_096
"""How many frames may have been waiting before a pong that came in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """When the session acts.

    ``silence_s``: how long a venue may fall silent, so that a ping is to be answered within what is left of it after
    ``ping_interval_s``. ``steady_s``: how long a session lasts before its traffic resets the backoff.
    """

    ping_interval_s: float = 25.0
    silence_s: float = 60.0
    acknowledge_timeout_s: float = 10.0
    steady_s: float = 5.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    refused_retry_s: float = 300.0

    @property
    def pong_timeout_s(self) -> float:
        """How long a ping may go unanswered."""
        return self.silence_s - self.ping_interval_s


@dataclass(frozen=True, slots=True)
class Heard:
    """What follows from a frame: what to say, what to pass on, and if it proves that the venue is alive.

    ``sent_at``: the venue's own time of saying it. ``pong``: it answers our ping. ``odd`` is for the log.
    """

    updates: tuple[LiveUpdate, ...] = ()
    say: tuple[str, ...] = ()
    alive: bool = False
    sent_at: datetime | None = None
    pong: bool = False
    odd: str | None = None
    detail: str = ""


class Conversation(Protocol):
    """A venue's side of one connection. Pure: what was heard in, what to do out."""

    @property
    def ready(self) -> bool:
        """Authenticated and subscribed."""
        ...

    def open(self) -> Heard:
        """What to say first, before anything is heard."""
        ...

    def hear(self, frame: bytes) -> Heard: ...

    def resubscribe(self, series: str) -> Heard:
        """What to say so that the channel's snapshot comes again."""
        ...

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
    """The session's times, in seconds of a clock that only grows. ``owed_since``: when the open ping was sent."""

    limits: SocketLimits
    pinged_at: float
    asked_at: float
    owed_since: float | None = None

    @classmethod
    def start(cls, limits: SocketLimits, now: float) -> "Timers":
        return cls(limits, pinged_at=now, asked_at=now)

    def due(self, now: float, *, ready: bool) -> Due:
        """The most pressing of what is due."""
        if self.owed_since is not None and now >= self.owed_since + self.limits.pong_timeout_s:
            return Due.SILENCE
        if not ready and now >= self.asked_at + self.limits.acknowledge_timeout_s:
            return Due.ACKNOWLEDGEMENT
        return Due.PING if self.owed_since is None and now >= self._ping_at else Due.NOTHING

    def wait_s(self, now: float, *, ready: bool) -> float:
        """How long nothing will be due if nothing is heard."""
        at = self._ping_at if self.owed_since is None else self.owed_since + self.limits.pong_timeout_s
        if not ready:
            at = min(at, self.asked_at + self.limits.acknowledge_timeout_s)
        return max(0.0, at - now)

    @property
    def _ping_at(self) -> float:
        return self.pinged_at + self.limits.ping_interval_s


def pause_s(*, refused: bool, failures: int, limits: SocketLimits, jitter: float) -> float:
    """How long to stay away after the ``failures``-th end in a row without a steady session between."""
    if refused:
        return limits.refused_retry_s * (1 + _REFUSED_SPREAD * jitter)
    return backoff_s(failures, first_s=limits.backoff_first_s, max_s=limits.backoff_max_s, jitter=jitter)


@dataclass(slots=True)
class _Session:
    """One connection while it is open.

    ``withheld``: the newest proof heard since the unanswered ping was sent. ``overtaken``: how many frames were read
    since its answer was due.
    """

    wire: Wire
    conversation: Conversation
    timers: Timers
    withheld: Alive | None = None
    overtaken: int = 0


class LiveSocket:
    """Dials, talks and dials again. ``jitter`` gives numbers in [0, 1).

    ``pace`` is asked after each dial, for a venue that says with each connection how it wants to be pinged.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Wire]],
        begin: Callable[[], Conversation],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud,
        limits: SocketLimits | None = None,
        pace: Callable[[SocketLimits], SocketLimits] | None = None,
        name: str = "socket",
        channels: tuple[Channel, ...] = (),
    ) -> None:
        self._name = name
        self._channels = channels
        self._dial = dial
        self._begin = begin
        self._clock = clock
        self._jitter = jitter
        self._loud = loud
        self._limits = limits or SocketLimits()
        self._pace = pace
        self._steady = False
        self._open: _Session | None = None

    @property
    def name(self) -> str:
        """What people call this connection of its source."""
        return self._name

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What is heard on it."""
        return self._channels

    async def resubscribe(self, series: str) -> None:
        """Ask for the channel anew, so that its snapshot comes. Nothing happens where no connection is up."""
        if self._open is not None and self._open.conversation.ready:
            await self._tell(self._open, self._open.conversation.resubscribe(series).say)

    async def prove(self) -> None:
        """Ping now, unless the last ping is unanswered. Nothing happens where no connection is up."""
        if self._open is not None and self._open.conversation.ready and self._open.timers.owed_since is None:
            with contextlib.suppress(Closed):
                await _ping(self._open, self._clock.monotonic())

    async def live(self) -> AsyncGenerator[LiveUpdate, None]:
        """What the socket says, for ever. Close it (``contextlib.aclosing``) when done: that closes the socket."""
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
            opened_at = self._clock.monotonic()
            limits = self._pace(self._limits) if self._pace is not None else self._limits
            session = _Session(wire, self._begin(), Timers.start(limits, opened_at))
            self._open = session
            for update in await self._follow(session, session.conversation.open(), opened_at):
                yield update
            while True:
                wait_s = session.timers.wait_s(self._clock.monotonic(), ready=session.conversation.ready)
                frame = await wire.receive(wait_s)
                now = self._clock.monotonic()
                if frame is not None:
                    heard = session.conversation.hear(frame)
                    lasted = now - opened_at >= self._limits.steady_s
                    self._steady |= lasted and heard.alive and session.conversation.ready
                    for update in await self._follow(session, heard, now):
                        yield update
                for update in await self._on_time(session, waiting=frame is not None):
                    yield update
        finally:
            self._open = None
            await wire.close()

    async def _follow(self, session: _Session, heard: Heard, now: float) -> tuple[LiveUpdate, ...]:
        """Say what is to be said. What the frame tells comes before what it proves."""
        if heard.odd is not None:
            self._loud.say(heard.odd, detail=heard.detail)
        if heard.say:
            await self._tell(session, heard.say)
        return (*heard.updates, *_proofs(session, heard, now))

    async def _on_time(self, session: _Session, *, waiting: bool = False) -> tuple[LiveUpdate, ...]:
        """Do what is due. ``waiting``: more may be on its way to us, which whoever reads slowly has yet to read."""
        now = self._clock.monotonic()
        match session.timers.due(now, ready=session.conversation.ready):
            case Due.SILENCE:
                session.overtaken += 1
                if not waiting or session.overtaken > OVERTAKEN_MAX:
                    raise Closed("silent: no pong")
            case Due.ACKNOWLEDGEMENT:
                overdue = session.conversation.overdue()
                if overdue is None:
                    raise Closed("no acknowledgement")
                session.timers.asked_at = now
                return await self._follow(session, overdue, now)
            case Due.PING:
                await _ping(session, now)
            case Due.NOTHING:
                pass
        return ()

    async def _tell(self, session: _Session, frames: tuple[str, ...]) -> None:
        session.timers.asked_at = self._clock.monotonic()
        for frame in frames:
            await session.wire.send(frame)


def _proofs(session: _Session, heard: Heard, now: float) -> tuple[Alive, ...]:
    """What ``heard`` proves, and what was withheld until it came."""
    asked_s = session.timers.owed_since
    said = None if heard.sent_at is None else Alive(heard.sent_at, None, now)
    if asked_s is not None and not heard.pong:
        session.withheld = said or session.withheld
        return ()
    if asked_s is None:
        return () if said is None else (said,)
    withheld, session.withheld = session.withheld, None
    session.timers.owed_since, session.overtaken = None, 0
    return (*(() if withheld is None else (withheld,)), Alive(heard.sent_at, asked_s, now))


async def _ping(session: _Session, now: float) -> None:
    session.timers.pinged_at = session.timers.owed_since = now
    await session.wire.send(session.conversation.ping())
