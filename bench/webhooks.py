"""How many webhooks a second are durable when they are answered, and what does the shared commit bring?"""

from dataclasses import dataclass
from statistics import median

from bench.figures import Figure
from bench.quantiles import spread
from bench.setting import HOOK, SECRET, config
from bench.stage import Part, Stage, stage

QUESTION = "webhooks"
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Size:
    requests: int
    repetitions: int
    naive_requests: int
    warm_requests: int


FULL = Size(requests=60_000, repetitions=3, naive_requests=20_000, warm_requests=5_000)
QUICK = Size(requests=8_000, repetitions=1, naive_requests=3_000, warm_requests=1_000)
SMOKE = Size(requests=300, repetitions=1, naive_requests=200, warm_requests=0)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """The bridge and the naive receiver in turns, on the same server."""
    async with stage() as place:
        null = await place.begin("null")
        ceiling = await _fire(place, null, 1, size.requests)
        await null.stop()
        venue = await place.begin("venue", faults={"contiguous": True})
        path = place.write("bridge.toml", config(venue.port))
        bridge = await place.begin("bridge", config=str(path), database_url=place.postgres.url, profile=profile)
        await place.until_begun()
        naive = await place.begin("naive", database_url=place.postgres.url, secret=SECRET)
        ours, theirs, first = [], [], 1
        if size.warm_requests:
            await _fire(place, bridge, first, size.warm_requests)
            await _fire(place, naive, first, size.warm_requests)
            first += size.warm_requests
        cpu_s = bridge.cpu_s()
        for _ in range(size.repetitions):
            ours.append(await _fire(place, bridge, first, size.requests))
            theirs.append(await _fire(place, naive, first, size.naive_requests))
            first += size.requests
            bridge.look()
        cpu_us = (bridge.cpu_s() - cpu_s) / (size.requests * size.repetitions) * 1e6
        settled = await place.sql("SELECT position FROM streams WHERE name = 'pb.events'")
        assert settled == first - 1, f"{settled} of {first - 1} events are settled"
    rates, naive_rates = [one["per_s"] for one in ours], [one["per_s"] for one in theirs]
    return [
        Figure(QUESTION, "generator's own ceiling (null server)", ceiling["per_s"], "1/s"),
        Figure(QUESTION, "durable webhooks", median(rates), "1/s", least=10_000),
        Figure(QUESTION, "p50", median([one["p50_ms"] for one in ours]), "ms"),
        Figure(QUESTION, "p99", median([one["p99_ms"] for one in ours]), "ms"),
        Figure(QUESTION, "processor time of the bridge per webhook", cpu_us, "us"),
        Figure(QUESTION, "one transaction per request", median(naive_rates), "1/s"),
        Figure(QUESTION, "its p99", median([one["p99_ms"] for one in theirs]), "ms"),
        Figure(QUESTION, "ratio", median(rates) / median(naive_rates), "x", least=2),
        Figure(QUESTION, "spread of the repetitions", spread(rates), "x of median"),
        Figure(QUESTION, "resident memory", bridge.rss_max_mib, "MiB"),
    ]


async def _fire(place: Stage, target: Part, first: int, requests: int) -> dict[str, float]:
    result = await place.result(
        "load", 120, port=target.port, path=HOOK, secret=SECRET, requests=requests, first=first,
        connections=CONNECTIONS,
    )  # fmt: skip
    assert result["statuses"] == {"202": requests}, result["statuses"]
    return result
