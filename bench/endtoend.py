"""How long from the venue's webhook to the consumer's answer, at a steady rate, with and without holes?

Once with everything in one process, and once as the Procfile deploys it: ``web`` and ``worker`` apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import Figure
from bench.quantiles import quantile
from bench.setting import HOOK, KEY, NUMBERINGS, SECRET, config
from bench.stage import CLOCK, Part, Stage, free_port, stage, until
from bench.venue import Asked

QUESTION = "end to end"
SETTLE_S = 2.0
MEMORY_MAX_MIB = 200
P99_MOST_MS = {"without holes": 50.0, "with holes": (SETTLE_S + 1) * 1000}


@dataclass(frozen=True, slots=True)
class Size:
    events_per_s: int
    seconds: float
    warm_events: int
    batch_max: int = 100
    roles: tuple[tuple[str, ...], ...] = (("all",), ("web", "worker"))
    numberings: tuple[str, ...] = tuple(NUMBERINGS)


FULL = Size(events_per_s=2_000, seconds=20, warm_events=1_000)
QUICK = Size(events_per_s=2_000, seconds=5, warm_events=500)
SMOKE = Size(events_per_s=200, seconds=0.5, warm_events=20, numberings=("with holes",))


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """Both kinds of numbering and of deploy, each on a stage of its own."""
    figures: list[Figure] = []
    for roles in size.roles:
        for name in size.numberings:
            outcome = await _run(size, NUMBERINGS[name], roles, profile)
            named = name if roles == ("all",) else f"{' and '.join(roles)} apart, {name}"
            figures += _figures(named, outcome, p99_most_ms=P99_MOST_MS[name], rate=size.events_per_s)
    return figures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. ``latencies_ms`` are sorted, of every event from its first webhook to the consumer."""

    latencies_ms: list[float]
    per_s: float
    rss_mib: float
    postgres_mib: float
    bridge_cpu: float


async def _run(size: Size, faults: dict[str, object], roles: Sequence[str], profile: str | None) -> Outcome:
    async with stage() as place:
        port = free_port()
        consumer = await place.begin("consumer", key=KEY)
        venue = await place.begin(
            "venue", faults=faults, webhook_url=f"http://127.0.0.1:{port}{HOOK}", webhook_secret=SECRET
        )
        text = config(
            venue.port,
            consumer_port=consumer.port,
            taking=f"batch_max = {size.batch_max}",
            replay=f"settle_s = {SETTLE_S}\nrequests_per_s = 50",
        )
        path = place.write("bridge.toml", text)
        bridges = [
            await place.begin(
                "bridge",
                config=str(path),
                database_url=place.postgres.url,
                port=0 if role == "worker" else port,
                role=role,
                profile=profile,
            )
            for role in roles
        ]
        asked, taken = Asked(venue), Asked(consumer)
        try:
            return await flow(
                place,
                bridges,
                asked,
                taken,
                events_per_s=size.events_per_s,
                seconds=size.seconds,
                warm=size.warm_events,
            )
        finally:
            await asked.close()
            await taken.close()


async def flow(
    place: Stage,
    bridges: Sequence[Part],
    venue: Asked,
    consumer: Asked,
    *,
    events_per_s: int,
    seconds: float,
    warm: int,
) -> Outcome:
    """Warm up, run at the rate, wait until the consumer holds everything, and compare with the truth."""
    await place.until_begun()
    await venue.tell("emit", count=warm)
    await until(lambda: _holds(consumer, warm), within_s=60, what="the warm-up is delivered")
    await venue.tell("rate", events_per_s=events_per_s)
    began, cpu_s = CLOCK.monotonic(), sum(bridge.cpu_s() for bridge in bridges)
    postgres_mib = 0.0
    while CLOCK.monotonic() - began < seconds:
        await CLOCK.sleep(0.25)
        for bridge in bridges:
            bridge.look()
    postgres_mib = place.postgres_mib()
    lasted_s = CLOCK.monotonic() - began
    cpu = (sum(bridge.cpu_s() for bridge in bridges) - cpu_s) / lasted_s
    assigned = (await venue.tell("stop-emitting"))["assigned"]
    await venue.tell("drain")
    await until(lambda: _holds(consumer, assigned), within_s=60, what="everything is delivered")
    sent = {row["sequence"]: row["first_sent_at_s"] for row in (await venue.truth())[warm:]}
    held = await _held(consumer)
    times = [(sent[one["sequence"]], one["at"]) for one in held if one["sequence"] in sent]
    assert len(times) == assigned - warm, f"{len(times)} of {assigned - warm} were delivered"
    latencies = sorted((at - sent_at) * 1000 for sent_at, at in times)
    # From the first that is taken to the last: waiting for the settling time is no lower rate, falling behind is.
    taken = [at for _, at in times]
    span_s = max(lasted_s, max(taken) - min(taken))
    return Outcome(latencies, len(times) / span_s, sum(bridge.rss_max_mib for bridge in bridges), postgres_mib, cpu)


async def _held(consumer: Asked) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = []
    while page := await consumer.ask("held", stream="pb.events", after=len(held)):
        held += page
    return held


async def _holds(consumer: Asked, count: int) -> bool:
    return await consumer.last() >= count


def _figures(name: str, run: Outcome, *, p99_most_ms: float, rate: float) -> list[Figure]:
    return [
        Figure(QUESTION, f"{name}: events sustained", run.per_s, "1/s", least=rate * 0.9),
        Figure(QUESTION, f"{name}: p50", quantile(run.latencies_ms, 0.5), "ms"),
        Figure(QUESTION, f"{name}: p99", quantile(run.latencies_ms, 0.99), "ms", most=p99_most_ms),
        Figure(QUESTION, f"{name}: resident memory", run.rss_mib, "MiB", most=MEMORY_MAX_MIB),
        Figure(QUESTION, f"{name}: Postgres' own memory", run.postgres_mib, "MiB"),
        Figure(QUESTION, f"{name}: share of a core", run.bridge_cpu, "cores"),
    ]
