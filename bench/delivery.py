"""How many entries a second does one destination take, strictly in order, and what does a slow one leave of that?"""

import asyncio
from dataclasses import dataclass

from bench.figures import Figure
from bench.setting import KEY, config
from bench.stage import CLOCK, Part, Stage, stage, until
from bench.venue import Asked
from bridge.core.event import Transport
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.sim.playbatman import Faults, Venue
from bridge.sim.playbatman.row import webhook_row
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.store.engine import make_engine, upgrade

QUESTION = "delivery"
SLOW_S = 0.005
BATCH = 100
KEYS = 200
BY_KEY = 'order = "key"\nin_flight_max = 64'
STREAM = "pb.events"
FILL_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    entries: int
    slow_entries: int


FULL = Size(entries=20_000, slow_entries=2_000)
QUICK = Size(entries=5_000, slow_entries=500)
SMOKE = Size(entries=200, slow_entries=0)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """Fill the log first, then let destinations have it: at once, and after 5 ms each."""
    async with stage() as place:
        await fill(place, size.entries)
        fast = await _deliver(place, size.entries, 0.0, profile, "fast")
        batched = await _deliver(place, size.entries, 0.0, None, "batched", f"batch_max = {BATCH}")
        await batched.null.stop()
        serial = await place.result("serial", 120, port=fast.null.port, requests=size.entries // 4)
        await fast.null.stop()
        figures = [
            *_figures(fast, serial["per_s"]),
            Figure(QUESTION, f"strict order, in batches of {BATCH}", batched.per_s, "1/s"),
            Figure(QUESTION, "of one entry a post", batched.per_s / fast.per_s, "x"),
        ]
        if size.slow_entries:
            slow = await _deliver(place, size.slow_entries, SLOW_S, None, "slow")
            batched = await _deliver(place, size.entries, SLOW_S, None, "slow-batched", f"batch_max = {BATCH}")
            keyed_per_s = await _deliver_by_key(place, size.entries)
            serial = await place.result("serial", 120, port=slow.null.port, requests=size.slow_entries // 4)
            figures += [
                Figure(QUESTION, "strict order, receiver takes 5 ms", slow.per_s, "1/s"),
                Figure(QUESTION, "of the bare client, receiver takes 5 ms", slow.per_s / serial["per_s"], "x"),
                Figure(QUESTION, f"the same in batches of {BATCH}", batched.per_s, "1/s"),
                Figure(
                    QUESTION, "of one entry a post, receiver takes 5 ms", batched.per_s / slow.per_s, "x", least=10
                ),
                Figure(QUESTION, "by key, 64 in flight, receiver takes 5 ms", keyed_per_s, "1/s"),
                Figure(QUESTION, "of strict order, receiver takes 5 ms", keyed_per_s / slow.per_s, "x", least=3),
            ]
    return figures


def _figures(fast: "_Delivered", serial_per_s: float) -> list[Figure]:
    return [
        Figure(QUESTION, "bare client, one post after the other", serial_per_s, "1/s"),
        Figure(QUESTION, "strict order", fast.per_s, "1/s"),
        Figure(QUESTION, "of the bare client", fast.per_s / serial_per_s, "x"),
        Figure(QUESTION, "processor time of the bridge per entry", fast.cpu_us, "us"),
        Figure(QUESTION, "resident memory", fast.rss_mib, "MiB"),
    ]


async def fill(place: Stage, entries: int) -> None:
    """A log of ``entries``, through the door, with nobody to take it yet."""
    await asyncio.to_thread(upgrade, place.postgres.url)  # it runs a loop of its own
    venue = Venue(seed=1, start=CLOCK.now(), faults=Faults(contiguous=True), in_process=False)
    reader = WebhookReader()
    events = [
        reader.event(webhook_row(row), None)._replace(key=f"market-{number % KEYS}")
        for number, row in enumerate(venue.emit(CLOCK.now(), entries))
    ]
    engine = make_engine(place.postgres.url)
    async with Door(engine, CLOCK, {STREAM: StreamSpec(STREAM, "pb", "venue", settle_s=2.0)}) as door:
        await door.record(STREAM, Finding(1, base=Base(1, None)))
        for first in range(0, entries, FILL_MAX):
            await door.accept(STREAM, events[first : first + FILL_MAX], transport=Transport.WEBHOOK)
    await engine.dispose()


@dataclass(frozen=True, slots=True)
class _Delivered:
    null: Part
    per_s: float
    cpu_us: float
    rss_mib: float


async def _deliver(
    place: Stage, entries: int, delay_s: float, profile: str | None, name: str, taking: str = "batch_max = 1"
) -> _Delivered:
    """Start a bridge with a destination that has seen nothing; count at the destination."""
    consumer = await place.begin("consumer", key=KEY, delay_s=delay_s)
    null = await place.begin("null", delay_s=delay_s)
    venue = await place.begin("venue", faults={"contiguous": True})
    text = config(venue.port, consumer_port=consumer.port, taking=taking)
    text = text.replace("destinations.ledger", f"destinations.{name}")
    bridge = await place.begin(
        "bridge", config=str(place.write("bridge.toml", text)), database_url=place.postgres.url, profile=profile
    )
    asked = Asked(consumer)
    try:
        await until(lambda: _takes(asked, 1), within_s=20, what="delivery begins")
        cpu_s, already = bridge.cpu_s(), await asked.last()
        await until(lambda: _takes(asked, entries), within_s=120, what="the log is delivered")
        cpu_us = (bridge.cpu_s() - cpu_s) / max(1, entries - already) * 1e6
        bridge.look()
        held = await asked.ask("held", stream="pb.events", limit=entries)
    finally:
        await asked.close()
    for part in (bridge, venue, consumer):
        await part.stop()
    per_s = (entries - 1) / (held[entries - 1]["at"] - held[0]["at"])
    return _Delivered(null, per_s, cpu_us, bridge.rss_max_mib)


async def _deliver_by_key(place: Stage, entries: int) -> float:
    """Entries a second, where many posts wait for the receiver side by side; counted by the cursor."""
    null = await place.begin("null", delay_s=SLOW_S)
    venue = await place.begin("venue", faults={"contiguous": True})
    text = config(venue.port, consumer_port=null.port, taking=BY_KEY).replace(
        "destinations.ledger", "destinations.keyed"
    )
    path = place.write("bridge.toml", text)
    bridge = await place.begin("bridge", config=str(path), database_url=place.postgres.url)
    await until(lambda: _acknowledged(place, 1), within_s=20, what="delivery begins")
    began, first = CLOCK.monotonic(), await place.sql(_KEYED)
    await until(lambda: _acknowledged(place, entries), within_s=120, what="the log is delivered")
    per_s = float((entries - first) / (CLOCK.monotonic() - began))
    for part in (bridge, venue, null):
        await part.stop()
    return per_s


_KEYED = "SELECT c.position FROM cursors c JOIN destinations d ON d.id = c.destination_id WHERE d.name = 'keyed'"


async def _acknowledged(place: Stage, entries: int) -> bool:
    return int(await place.sql(_KEYED) or 0) >= entries


async def _takes(consumer: Asked, entries: int) -> bool:
    return await consumer.last() >= entries
