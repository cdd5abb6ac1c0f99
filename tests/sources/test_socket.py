"""The session's times and the way back after its end, on a clock moved by hand and a line of our own."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bridge.clock import ManualClock
from bridge.sources.base import Alive, Connected, Disconnected, LiveUpdate
from bridge.sources.loud import Loud
from bridge.sources.playbatman.conversation import SocketConversation
from bridge.sources.socket import OVERTAKEN_MAX, Heard, LiveSocket, SocketLimits, pause_s
from bridge.sources.wire import Closed
from tests.sources.playbatman.recorded import MARKET, recorded

AUTHENTICATED = recorded("frame_authenticated")
SUBSCRIBED = recorded("frame_subscribed")
PONG = recorded("frame_pong")
TRADE = recorded("frame_trade")
LIMITS = SocketLimits(ping_interval_s=25, silence_s=60, acknowledge_timeout_s=10, steady_s=5, backoff_max_s=30)
SAID_AT = datetime(2026, 2, 18, 12, tzinfo=UTC)
Script = Sequence[tuple[float, bytes | Closed]]


@dataclass
class Line:
    """A connection that plays a script: each frame, or the end, so many seconds after its opening."""

    script: Script
    clock: ManualClock
    answers_pings: bool = False
    swallows: int = 0
    sent: list[tuple[float, str]] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._opened = self.clock.monotonic()
        self._left = [(self._opened + after, what) for after, what in self.script]

    async def receive(self, within_s: float) -> bytes | None:
        until = self.clock.monotonic() + within_s
        if not self._left or self._left[0][0] > until:
            self.clock.advance(within_s)
            return None
        at, what = self._left.pop(0)
        self.clock.advance(max(0.0, at - self.clock.monotonic()))
        if isinstance(what, Closed):
            raise what
        return what

    async def send(self, frame: str) -> None:
        self.sent.append((self.clock.monotonic() - self._opened, frame))
        if "PING" not in frame:
            return
        if self.swallows:
            self.swallows -= 1
        elif self.answers_pings:
            self._left.insert(0, (self.clock.monotonic(), PONG))

    async def close(self) -> None:
        self.closed = True


class TimedConversation(SocketConversation):
    """Knows of a trade when the venue said it."""

    def hear(self, frame: bytes) -> Heard:
        heard = super().hear(frame)
        return replace(heard, sent_at=SAID_AT) if frame == TRADE else heard


class Exchange:
    """Gives the next line to whoever dials, the last one again and again; remembers when."""

    def __init__(
        self, *scripts: Script | Closed, answers_pings: bool = False, swallows: int = 0, timed: bool = False
    ) -> None:
        self.clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
        self.lines: list[Line] = []
        self.dialled_at: list[float] = []
        self.said: list[str] = []
        self._scripts = list(scripts)
        self._answers_pings = answers_pings
        self._swallows = swallows
        self._conversation = TimedConversation if timed else SocketConversation

    async def dial(self) -> Line:
        self.dialled_at.append(self.clock.monotonic())
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if isinstance(script, Closed):
            raise script
        self.lines.append(Line(script, self.clock, self._answers_pings, self._swallows))
        return self.lines[-1]

    def socket(self, *, markets: Sequence[str] = (MARKET,), jitter: Callable[[], float] = lambda: 0.5) -> LiveSocket:
        loud = Loud(self.clock, write=lambda event, **fields: self.said.append(event))
        return LiveSocket(
            self.dial,
            lambda: self._conversation(markets, batch_markets_max=1),
            clock=self.clock,
            jitter=jitter,
            loud=loud,
            limits=LIMITS,
        )

    async def hear(self, count: int) -> list[LiveUpdate]:
        heard: list[LiveUpdate] = []
        async with aclosing(self.socket().live()) as updates:
            async for update in updates:
                heard.append(update)
                if len(heard) == count:
                    break
        return heard


def opening(*later: tuple[float, bytes | Closed]) -> Script:
    return [(0.0, AUTHENTICATED), (0.1, SUBSCRIBED), *later]


async def test_a_session_says_connected_when_subscribed_and_then_every_event() -> None:
    exchange = Exchange(opening((1, TRADE), (2, TRADE)))
    heard = await exchange.hear(3)
    assert heard[0] == Connected()
    assert [type(update).__name__ for update in heard[1:]] == ["Event", "Event"]
    assert exchange.lines[0].sent[0][1] == f'{{"type":"SUBSCRIBE","payload":{{"marketIds":["{MARKET}"]}}}}'
    assert exchange.lines[0].closed


async def test_the_session_pings_at_its_interval_however_much_is_heard() -> None:
    exchange = Exchange(opening(*((float(second), TRADE) for second in range(1, 81))), answers_pings=True)
    await exchange.hear(83)
    pings = [at for at, frame in exchange.lines[0].sent if "PING" in frame]
    assert len(pings) == 3
    assert all(25 <= later - earlier <= 26 for earlier, later in pairwise([0.0, *pings]))


async def test_a_quiet_venue_that_answers_pings_stays_connected() -> None:
    exchange = Exchange(opening((500, TRADE)), answers_pings=True)
    heard = await exchange.hear(21)
    assert [type(update).__name__ for update in heard] == ["Connected", *["Alive"] * 19, "Event"]
    assert len(exchange.dialled_at) == 1


async def test_a_socket_that_is_open_but_silent_is_left_and_dialled_again() -> None:
    exchange = Exchange(opening((300, TRADE)))
    assert (await exchange.hear(3))[1:] == [Disconnected("silent: no pong"), Connected()]
    assert exchange.dialled_at[1] == pytest.approx(60 + 0.25)
    assert exchange.lines[0].closed


async def test_other_frames_do_not_stand_for_a_pong() -> None:
    exchange = Exchange(opening(*((float(second), TRADE) for second in range(1, 60))), answers_pings=True, swallows=1)
    heard = await exchange.hear(61)
    assert heard[-1] == Disconnected("silent: no pong")
    assert exchange.clock.monotonic() == pytest.approx(60)


async def test_what_is_heard_before_the_answer_to_a_ping_proves_nothing_until_it_comes() -> None:
    exchange = Exchange(opening((1, TRADE), (26, TRADE), (27, PONG), (28, TRADE)), timed=True)
    heard = await exchange.hear(8)
    assert [type(update).__name__ for update in heard[1:]] == [
        *("Event", "Alive"), *("Event", "Alive", "Alive"), *("Event", "Alive"),
    ]  # fmt: skip
    assert heard[2] == Alive(SAID_AT, None, 1.0)
    assert heard[4:6] == [Alive(SAID_AT, None, 26.0), Alive(None, 25.0, 27.0)]


async def test_what_is_heard_after_a_swallowed_ping_proves_nothing() -> None:
    later = ((float(second), TRADE) for second in range(26, 60))
    exchange = Exchange(opening((1, TRADE), *later), answers_pings=True, swallows=1, timed=True)
    heard = await exchange.hear(38)
    assert heard[-1] == Disconnected("silent: no pong")
    assert [update for update in heard if isinstance(update, Alive)] == [Alive(SAID_AT, None, 1.0)]


async def test_whoever_reads_slowly_finds_the_pong_behind_what_was_waiting() -> None:
    heard = await heard_slowly(Exchange(opening((26, TRADE), *[(27, TRADE)] * 9, (27, PONG), (90, TRADE))), 13)
    assert [type(update).__name__ for update in heard] == ["Connected", *["Event"] * 10, "Alive", "Event"]


async def test_a_flood_does_not_stand_for_a_pong_either() -> None:
    exchange = Exchange(opening((26, TRADE), *[(27, TRADE)] * (OVERTAKEN_MAX + 1), (27, PONG)))
    heard = await heard_slowly(exchange, OVERTAKEN_MAX + 3)
    assert heard[-1] == Disconnected("silent: no pong")


async def heard_slowly(exchange: Exchange, count: int) -> list[LiveUpdate]:
    """What the socket says to somebody who is busy for a minute after the first event."""
    heard: list[LiveUpdate] = []
    async with aclosing(exchange.socket().live()) as updates:
        async for update in updates:
            heard.append(update)
            if len(heard) == 2:
                exchange.clock.advance(60)
            if len(heard) == count:
                break
    return heard


async def test_junk_is_counted_and_does_not_end_the_session() -> None:
    junk = [b"", b"\xff", b"{", b"[]", b'{"type":"WEATHER"}', recorded("frame_error")]
    exchange = Exchange(opening(*((1.0, frame) for frame in junk), (2, TRADE)))
    heard = await exchange.hear(2)
    assert [type(update).__name__ for update in heard] == ["Connected", "Event"]
    assert exchange.said == ["frame.malformed", "frame.unknown", "frame.refused"]


@pytest.mark.parametrize("script", [[], [(0.0, AUTHENTICATED)]])
async def test_a_venue_that_never_acknowledges_is_left(script: Script) -> None:
    exchange = Exchange(script)
    assert await exchange.hear(1) == [Disconnected("no acknowledgement")]
    assert exchange.clock.monotonic() == pytest.approx(10.0)


async def test_a_market_the_venue_does_not_know_costs_the_others_nothing() -> None:
    exchange = Exchange([(0.0, AUTHENTICATED), (0.1, recorded("frame_error")), (11.0, SUBSCRIBED), (12.0, TRADE)])
    socket = exchange.socket(markets=("unknown", MARKET))
    async with aclosing(socket.live()) as updates:
        assert await anext(updates) == Connected()
    assert "markets.refused" in exchange.said


@pytest.mark.parametrize("end", [Closed("closed with code 4001", refused=True), Closed("HTTP 401", refused=True)])
async def test_a_refused_key_is_tried_again_every_five_minutes_at_most(end: Closed) -> None:
    exchange = Exchange(end)
    heard = await exchange.hear(3)
    assert heard == [Disconnected(end.reason, misconfigured=True)] * 3
    assert all(300 <= later - earlier <= 330 for earlier, later in pairwise(exchange.dialled_at))


async def test_short_connections_back_off_although_each_of_them_worked() -> None:
    exchange = Exchange(opening((0.2, TRADE), (0.3, Closed("cut"))))
    await exchange.hear(3 * 10)
    pauses = [later - earlier - 0.3 for earlier, later in pairwise(exchange.dialled_at)]
    assert pauses == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 15, 15, 15])


async def test_a_steady_session_resets_the_backoff_and_an_idle_one_does_not() -> None:
    cut = opening((0.2, TRADE), (0.3, Closed("cut")))
    steady = opening((6.0, TRADE), (6.1, Closed("cut")))
    idle = opening((6.0, b"junk"), (6.1, Closed("cut")))
    for last, pause in ((steady, 0.25), (idle, 2.0)):
        exchange = Exchange(cut, cut, cut, last, cut)
        await exchange.hear(13)
        assert exchange.dialled_at[4] - exchange.dialled_at[3] - 6.1 == pytest.approx(pause)


def test_the_pause_has_full_jitter() -> None:
    pauses = [pause_s(refused=False, failures=3, limits=LIMITS, jitter=jitter) for jitter in (0.0, 0.5, 0.99)]
    assert pauses == pytest.approx([0.0, 1.0, 1.98])


async def test_closing_what_it_says_closes_the_line() -> None:
    exchange = Exchange(opening((1, TRADE)))
    async with aclosing(exchange.socket().live()) as updates:
        await anext(updates)
    assert exchange.lines[0].closed
