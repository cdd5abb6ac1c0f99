"""Ten good destinations: does a dead one, a slow one and a failing one beside them make them any later?"""

from dataclasses import dataclass

from bench.endtoend import flow
from bench.figures import Figure
from bench.quantiles import quantile
from bench.setting import HOOK, KEY, SECRET, config
from bench.stage import free_port, stage
from bench.venue import Asked

QUESTION = "neighbours"
GOOD = 10
SLOW_S = 2.0
MOVED_MOST = 1.5
"""What two runs of the same on a machine that others use differ by."""


@dataclass(frozen=True, slots=True)
class Size:
    events_per_s: int
    seconds: float
    warm_events: int
    good: int = GOOD


FULL = Size(events_per_s=500, seconds=15, warm_events=500)
QUICK = Size(events_per_s=300, seconds=5, warm_events=200)
SMOKE = Size(events_per_s=100, seconds=0.5, warm_events=20, good=2)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """The same traffic twice, without bad neighbours and with them; seen by one of the good."""
    alone = await _latencies_ms(size, bad=False, profile=None)
    beside = await _latencies_ms(size, bad=True, profile=profile)
    p99_alone, p99_beside = quantile(alone, 0.99), quantile(beside, 0.99)
    return [
        Figure(QUESTION, f"{size.good} good destinations: p99", p99_alone, "ms"),
        Figure(QUESTION, "beside a dead, a slow and a failing one: p99", p99_beside, "ms"),
        Figure(QUESTION, "ratio", p99_beside / p99_alone, "x", most=MOVED_MOST),
    ]


async def _latencies_ms(size: Size, *, bad: bool, profile: str | None) -> list[float]:
    async with stage() as place:
        port = free_port()
        consumer = await place.begin("consumer", key=KEY)
        good = await place.begin("null")
        venue = await place.begin(
            "venue", faults={"contiguous": True}, webhook_url=f"http://127.0.0.1:{port}{HOOK}", webhook_secret=SECRET
        )
        text = config(venue.port, consumer_port=consumer.port, taking="batch_max = 100")
        _, _, destination = text.partition("[destinations.ledger]")
        others = {f"good-{number}": good.port for number in range(1, size.good)}
        if bad:
            slow, failing = await place.begin("null", delay_s=SLOW_S), await place.begin("null", status=500)
            others |= {"dead": free_port(), "slow": slow.port, "failing": failing.port}
        for name, at in others.items():
            text += f"[destinations.{name}]{destination.replace(f':{consumer.port}/', f':{at}/')}"
        bridge = await place.begin(
            "bridge",
            config=str(place.write("bridge.toml", text)),
            database_url=place.postgres.url,
            port=port,
            profile=profile,
        )
        asked, taken = Asked(venue), Asked(consumer)
        try:
            outcome = await flow(
                place,
                [bridge],
                asked,
                taken,
                events_per_s=size.events_per_s,
                seconds=size.seconds,
                warm=size.warm_events,
            )
        finally:
            await asked.close()
            await taken.close()
        return outcome.latencies_ms
