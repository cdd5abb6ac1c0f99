"""A connection by the venue's rules, on a clock moved by hand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bridge.clock import ManualClock
from bridge.sources.poloniex_v1.paced import OVERTAKEN_MAX, PacedWire
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.wire import Closed

PING = '{"id":"p1","type":"ping"}'
PONG = b'{"id":"p1","type":"pong"}'


@dataclass
class Line:
    """A connection with frames that wait; where none does, the time passes."""

    clock: ManualClock
    waiting: list[bytes] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    async def receive(self, within_s: float) -> bytes | None:
        if self.waiting:
            return self.waiting.pop(0)
        self.clock.advance(within_s)
        return None

    async def send(self, frame: str) -> None:
        self.sent_at.append(self.clock.monotonic())

    async def close(self) -> None:
        pass


def paced() -> tuple[PacedWire, Line]:
    clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
    line = Line(clock)
    return PacedWire(line, Quota(3, 10.0), clock, pong_timeout_s=5.0), line


async def test_what_is_too_much_waits_its_turn() -> None:
    wire, line = paced()
    for _ in range(7):
        await wire.send("x")
    assert line.sent_at == [0, 0, 0, 10, 10, 10, 20]


async def test_a_ping_without_its_pong_is_the_end() -> None:
    wire, line = paced()
    await wire.send(PING)
    with pytest.raises(Closed, match="no pong"):
        await wire.receive(60)
    assert line.clock.monotonic() == 5.0


async def test_other_frames_do_not_stand_for_a_pong() -> None:
    wire, line = paced()
    await wire.send(PING)
    line.waiting = [b"event"] * 3
    for _ in range(3):
        line.clock.advance(3)
        assert await wire.receive(60) == b"event"
    with pytest.raises(Closed, match="no pong"):
        await wire.receive(60)


async def test_a_flood_does_not_stand_for_a_pong_either() -> None:
    wire, line = paced()
    await wire.send(PING)
    line.clock.advance(6)
    line.waiting = [b"event"] * (OVERTAKEN_MAX + 1)
    for _ in range(OVERTAKEN_MAX):
        await wire.receive(60)
    with pytest.raises(Closed, match="no pong"):
        await wire.receive(60)


async def test_whoever_reads_slowly_finds_the_pong_behind_what_was_waiting() -> None:
    wire, line = paced()
    await wire.send(PING)
    line.clock.advance(60)
    line.waiting = [b"event", b"event", PONG]
    assert [await wire.receive(60) for _ in range(3)] == [b"event", b"event", PONG]
    assert await wire.receive(60) is None


async def test_an_answered_ping_demands_nothing_more() -> None:
    wire, line = paced()
    await wire.send(PING)
    line.waiting = [PONG]
    await wire.receive(1)
    assert await wire.receive(60) is None
