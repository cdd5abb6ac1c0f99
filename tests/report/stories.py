"""Small worlds with a seed, whose reports are kept: between them they contain everything that a report tells of."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.channel import Repair
from bridge.core.destination import DestinationPolicy, Exhausted
from bridge.core.event import Kind, Transport
from bridge.report import Period
from bridge.sim.playbatman import Delivery, Faults
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.store import forgetting
from tests import logs
from tests.consuming import KEY
from tests.deliver.desk import Desk
from tests.deliver.sending import deliverer
from tests.events import event
from tests.laws import market, world
from tests.laws.market import KEYED, TWINS, Lies, Market
from tests.laws.world import STEP_S, World

HOUR = timedelta(hours=1)
FAULTS = Faults(
    burnt_rate=0.1,
    others_share=0.1,
    late_commit_rate=0.2,
    late_commit_max_s=1.2,
    webhook_loss_rate=0.3,
    webhook_duplicate_rate=0.2,
)
RETENTION_S = 300.0


class Kept(World):
    """Keeps what the venue wanted to deliver while nobody heard it."""

    missed: list[Delivery]

    async def hear(self) -> None:
        if not self.deaf:
            await super().hear()
            return
        for delivery in self.venue.deliveries_due(self.time.now()):
            self.missed.append(delivery)
            self.venue.delivered(delivery, False, self.time.now())


async def numbered(engine: AsyncEngine) -> Period:
    """A venue that numbers: healed, void, lost, recovered, late, in conflict, begun anew, and open at the end."""
    async with Kept(engine, seed=11, faults=FAULTS, retention_s=RETENTION_S) as one:
        one.missed = []
        await one.run(20)
        one.time.advance(600)
        one.venue.faults = replace(FAULTS, webhook_conflict_rate=0.3)
        await one.run(8)
        one.venue.faults = replace(FAULTS, late_commit_rate=0.5, late_commit_max_s=9.0)
        await one.run(12)
        await one.calm()
        await expire(one)
        await recover(one)
        await one.door.accept(one.name, [event(None, event_id="nobody")], transport=Transport.WEBHOOK)
        one.time.advance(1_800)
        one.venue.reset_counter()
        one.venue.faults = FAULTS
        await one.run(12)
        one.venue.faults = Faults(error_rate=1.0, webhook_loss_rate=0.5)
        await one.run(8)
        one.time.advance(3_000)
    return Period.of(world.START, world.START + 3 * HOUR)


async def expire(one: Kept) -> None:
    """The bridge hears nothing for longer than the venue remembers."""
    one.deaf = True
    one.venue.faults = Faults(others_share=0.0)
    for step in range(round((RETENTION_S + 30) / STEP_S)):
        one.time.advance(STEP_S)
        one.venue.emit(one.time.now(), int(step % 40 == 0))
        await one.hear()
    one.deaf = False
    one.restart()
    await one.run(6)
    await one.calm()


async def recover(one: Kept) -> None:
    """Two of what is lost turn up all the same."""
    [gap] = [json.loads(entry.payload) for entry in await one.entries() if entry.kind is Kind.GAP][-1:]
    lost = [missed for missed in one.missed if gap["first"] <= missed.row.sequence <= gap["last"]]
    for missed in lost[:2]:
        told = WebhookReader().event(missed.body, missed.delivery_id)
        await one.door.accept(one.name, [told], transport=Transport.WEBHOOK)


async def followed(engine: AsyncEngine) -> Period:
    """Venues that number nothing: lists that reach back more or less far, and a state in place of what was missed."""
    channels = [
        (replace(KEYED, series="fills"), Lies(cut_rate=0.03, dark_max_s=9.0, reach_s=5.0)),
        (replace(KEYED, series="wallet", repair=Repair.SNAPSHOT), Lies(cut_rate=0.02)),
        (replace(TWINS, series="prints"), Lies(cut_rate=0.02, rate_per_s=2.0)),
    ]
    for seed, (channel, lies) in enumerate(channels):
        one = Market(engine, seed=seed, lies=lies, channel=channel)
        one.venue_at += timedelta(minutes=58)
        one.clock.advance(58 * 60)
        await one.begin()
        await one.run(240)
        await one.calm()
        one.lies = replace(one.lies, cut_rate=0.5, error_rate=1.0, dark_max_s=60.0)
        await one.run(20)
    return Period.of(market.START, market.START + 2 * HOUR)


async def delivered(engine: AsyncEngine) -> Period:
    """Three destinations: one that lays aside what it cannot take, one that waits, one that came too late."""
    clock = ManualClock(logs.START)
    await logs.append_events(engine, "pb.events", 40)
    park = {"on_exhausted": Exhausted.PARK, "attempts_max": 3}
    for name, refused, chosen in (("ledger", (3, 7), park), ("audit", (10,), {}), ("archive", (4,), {})):
        sender = deliverer(engine, Desk(*refused), clock, policy(name, **chosen))
        for _ in range(8):
            await sender.drain()
            clock.advance(5)
    async with engine.begin() as conn:
        stream_id = (await conn.execute(text("SELECT id FROM streams"))).scalar_one()
        now = clock.now()
        await forgetting.step(conn, stream_id=stream_id, forgotten=0, before=now, tail=0, entries_max=8, now=now)
    clock.advance(3_600)
    await logs.append_events(engine, "pb.events", 20)
    await deliverer(engine, Desk(), clock, policy("ledger")).drain()
    begin = logs.START.replace(minute=0, second=0, microsecond=0)
    return Period.of(begin, begin + 2 * HOUR)


def policy(name: str, **chosen: Any) -> DestinationPolicy:
    return DestinationPolicy(name, f"http://{name}", (KEY,), **{"retry_first_s": 1, "retry_max_s": 4} | chosen)


STORIES: Mapping[str, Callable[[AsyncEngine], Awaitable[Period]]] = MappingProxyType(
    {"numbered": numbered, "followed": followed, "delivered": delivered}
)
