"""What do traces cost the receiver, where one event in a hundred is recorded, and where all of them are?"""

from dataclasses import dataclass

from bench.figures import Figure
from bench.setting import HOOK, SECRET, config
from bench.stage import Part, Stage, stage

QUESTION = "traces"
CONNECTIONS = 64
TRACED_MOST = 1.25
SHARES = {"none": None, "one event in a hundred": 0.01, "every event": 1.0}


@dataclass(frozen=True, slots=True)
class Size:
    """``rounds`` of all three in turns, and of each round so many ``lots`` of requests: the least of them counts."""

    rounds: int
    lots: int
    requests: int


FULL = Size(rounds=3, lots=4, requests=5_000)
QUICK = Size(rounds=1, lots=3, requests=4_000)
SMOKE = Size(rounds=1, lots=1, requests=200)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """A collector that takes everything, and beside it bridges that send it nothing, little and all."""
    least = dict.fromkeys(SHARES, float("inf"))
    for _ in range(size.rounds):
        for name, share in SHARES.items():
            least[name] = min(least[name], await _cpu_us(size, share, profile))
    none, little, all_ = least.values()
    return [
        Figure(QUESTION, "processor time of the bridge per webhook, without traces", none, "us"),
        Figure(QUESTION, "where one event in a hundred is recorded", little, "us"),
        Figure(QUESTION, "ratio", little / none, "x", most=TRACED_MOST),
        Figure(QUESTION, "where every event is recorded", all_, "us"),
        Figure(QUESTION, "its ratio", all_ / none, "x"),
    ]


async def _cpu_us(size: Size, share: float | None, profile: str | None) -> float:
    """The least processor time for a webhook of several lots, in microseconds, the exporter's thread included."""
    async with stage() as place:
        collector, venue = await place.begin("null"), await place.begin("venue", faults={"contiguous": True})
        text = config(venue.port)
        if share is not None:
            text += f"\n[traces]\nenabled = true\nsample = {share}\n"
        bridge = await place.begin(
            "bridge",
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"},
            config=str(place.write("bridge.toml", text)),
            database_url=place.postgres.url,
            profile=profile,
        )
        await place.until_begun()
        await _fire(place, bridge, 1, size.requests)
        least = float("inf")
        for lot in range(1, size.lots + 1):
            before_s = bridge.cpu_s()
            await _fire(place, bridge, 1 + lot * size.requests, size.requests)
            least = min(least, (bridge.cpu_s() - before_s) / size.requests * 1e6)
        return least


async def _fire(place: Stage, target: Part, first: int, requests: int) -> None:
    result = await place.result(
        "load", 120, port=target.port, path=HOOK, secret=SECRET, requests=requests, first=first,
        connections=CONNECTIONS,
    )  # fmt: skip
    assert result["statuses"] == {"202": requests}, result["statuses"]
