"""The demo's venues without numbers as they are asked and told over the wire, and what comes of it: the verdicts."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

import msgspec

from bridge.core.channel import Channel
from bridge.sim.demo.followed import Followed, ended
from bridge.sim.demo.parts import Part, holdings
from bridge.sim.demo.plan import Spell
from bridge.sim.demo.series import SeriesPage, SeriesRow, SeriesVerdict
from bridge.sim.demo.series_verdict import judge_series
from bridge.store.streams import Stream

FLOORED_S = 1.0
"""To what a venue may floor its stamps."""


class SeriesCount(msgspec.Struct, frozen=True):
    """``swallowed``: the wire lost them, for everybody."""

    assigned: int
    optional: int
    swallowed: int


class MarketState(msgspec.Struct, frozen=True):
    series: dict[str, SeriesCount]
    sockets: int
    socket_counts: dict[str, int]
    wire_counts: dict[str, int]
    rest_counts: dict[str, int]
    down: bool
    silent: bool


@dataclass(frozen=True, slots=True)
class Market:
    """One of them while it runs."""

    followed: Followed
    part: Part

    async def state(self) -> MarketState:
        return await self.part.ask("/_sim/", MarketState)

    async def begin(self, *, happenings_per_s: float, faulty: bool) -> None:
        """Let things happen, under faults or not."""
        if faulty:
            await self.part.tell("/_sim/faults", asdict(self.followed.faults))
        await self.part.tell("/_sim/rate", {"events_per_s": happenings_per_s})

    async def order(self, spell: Spell) -> None:
        """Break its lines."""
        await self.part.tell(f"/_sim/{spell.order}", spell.what)

    async def calm(self) -> None:
        """End every fault; things go on happening."""
        await self.part.tell("/_sim/faults", ended(self.followed.faults))
        await self.part.tell("/_sim/silence", {"seconds": 0})
        await self.part.tell("/_sim/down", {"seconds": 0})

    async def stop(self, *, drain_timeout_s: float) -> None:
        """Nothing happens any more, and all that did is told."""
        await self.part.tell("/_sim/stop")
        await self.part.tell(f"/_sim/drain?timeout_s={drain_timeout_s:g}")

    async def truth(self, series: str) -> list[SeriesRow]:
        """Every event that the venue assigned in the series, and what else it told."""
        rows: list[SeriesRow] = []
        after: int | None = 0
        while after is not None:
            page = await self.part.ask("/_sim/truth", SeriesPage, series=series, after=after)
            rows += page.rows
            after = page.next
        return rows

    async def judge(
        self, consumer: Part, streams: Mapping[str, Stream], wanted: Collection[str]
    ) -> dict[str, SeriesVerdict]:
        """The verdict on each of its streams that is ``wanted``, by name. ``streams`` are what the bridge knows."""
        return {
            name: await self._judge_one(consumer, name, channel, streams.get(name))
            for channel in self.followed.channels
            if (name := self.followed.stream(channel)) in wanted
        }

    async def _judge_one(self, consumer: Part, name: str, channel: Channel, stream: Stream | None) -> SeriesVerdict:
        began_at = None if stream is None else stream.epoch_began_at
        return judge_series(
            name,
            await self.truth(channel.series),
            await holdings(consumer, name),
            self.followed.terms(channel),
            since_ms=0.0 if began_at is None else began_at.timestamp() * 1000,
        )


def has_begun(followed: Followed, streams: Mapping[str, Stream], now_s: float) -> bool:
    """Whether the bridge follows every channel of the venue, and none begins within a floored stamp."""
    for channel in followed.channels:
        stream = streams.get(followed.stream(channel))
        if stream is None:
            return False
        began_at = stream.epoch_began_at
        if not channel.in_session and (began_at is None or began_at.timestamp() + FLOORED_S > now_s):
            return False
    return True
