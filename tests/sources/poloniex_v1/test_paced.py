"""A connection by the venue's rules, on a clock moved by hand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from bridge.clock import ManualClock
from bridge.sources.poloniex_v1.paced import PacedWire
from bridge.sources.poloniex_v1.quota import Quota


@dataclass
class Line:
    """A connection that remembers when something was sent."""

    clock: ManualClock
    sent_at: list[float] = field(default_factory=list)

    async def receive(self, within_s: float) -> bytes | None:
        self.clock.advance(within_s)
        return None

    async def send(self, frame: str) -> None:
        self.sent_at.append(self.clock.monotonic())

    async def close(self) -> None:
        pass


def paced() -> tuple[PacedWire, Line]:
    clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
    line = Line(clock)
    return PacedWire(line, Quota(3, 10.0), clock), line


async def test_what_is_too_much_waits_its_turn() -> None:
    wire, line = paced()
    for _ in range(7):
        await wire.send("x")
    assert line.sent_at == [0, 0, 0, 10, 10, 10, 20]
