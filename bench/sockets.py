"""How much does the bridge take off sockets whose events have no numbers, and what does silence cost?"""

from dataclasses import dataclass

from bench.figures import Figure
from bench.stage import CLOCK, Part, Stage, stage, until

QUESTION = "sockets"
WARM_S = 3.0
MEMORY_GROWTH_MOST = 1.3


@dataclass(frozen=True, slots=True)
class Size:
    trades_per_s: int
    seconds: float
    idle_streams: int
    idle_s: float


FULL = Size(trades_per_s=20_000, seconds=20, idle_streams=1_000, idle_s=20)
QUICK = Size(trades_per_s=20_000, seconds=6, idle_streams=200, idle_s=5)
SMOKE = Size(trades_per_s=500, seconds=1, idle_streams=3, idle_s=0.5)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """A venue that says as much as is wanted, and one that says nothing on many channels."""
    one = await _busy(size, profile, sources=1, trades_per_s=size.trades_per_s)
    five = await _busy(size, None, sources=5, trades_per_s=size.trades_per_s // 10)
    return [*one, *five, *await _idle(size)]


async def _busy(size: Size, profile: str | None, *, sources: int, trades_per_s: int) -> list[Figure]:
    """``sources`` venues, each with so many trades a second."""
    name = "one venue" if sources == 1 else f"{sources} venues"
    async with stage() as place:
        bridge = await _bridge(place, ["BTCUSDT"], trades_per_s, profile, sources=sources)
        await until(lambda: _begun(place, sources), within_s=60, what="the first trades are in the log")
        await CLOCK.sleep(WARM_S)
        bridge.look()
        half_mib, bridge.rss_max_mib = bridge.rss_max_mib, 0.0
        at = await _position(place)
        began, cpu_s = CLOCK.monotonic(), bridge.cpu_s()
        while CLOCK.monotonic() - began < size.seconds:
            await CLOCK.sleep(0.25)
            bridge.look()
        seconds = CLOCK.monotonic() - began
        events = await _position(place) - at
        share = (bridge.cpu_s() - cpu_s) / seconds
        behind_s = await place.sql("SELECT extract(epoch FROM now() - max(settled_until))::float FROM follows")
        lost = await place.sql("SELECT coalesce(sum(dropped), 0)::bigint FROM follows")
        return [
            Figure(
                QUESTION, f"{name}: trades into the log", events / seconds, "1/s", least=sources * trades_per_s * 0.99
            ),
            Figure(QUESTION, f"{name}: dropped for want of room", float(lost), "", most=0),
            Figure(QUESTION, f"{name}: the log behind the venue's clock", behind_s, "s"),
            Figure(QUESTION, f"{name}: share of a core", share, "cores"),
            Figure(QUESTION, f"{name}: resident memory", bridge.rss_max_mib, "MiB"),
            Figure(
                QUESTION,
                f"{name}: of that after warming up",
                bridge.rss_max_mib / half_mib,
                "x",
                most=MEMORY_GROWTH_MOST,
            ),
        ]


async def _idle(size: Size) -> list[Figure]:
    """Channels that say nothing, beside the same bridge with a single one."""
    shares, memory = [], []
    for count in (1, size.idle_streams):
        async with stage() as place:
            bridge = await _bridge(place, [f"S{number}USDT" for number in range(count)], 0, None)
            await until(lambda wanted=count: _has_begun(place, wanted), within_s=120, what="all streams begin")  # type: ignore[misc]  # bound on purpose
            await CLOCK.sleep(WARM_S)
            began, cpu_s = CLOCK.monotonic(), bridge.cpu_s()
            await CLOCK.sleep(size.idle_s)
            shares.append((bridge.cpu_s() - cpu_s) / (CLOCK.monotonic() - began))
            bridge.look()
            memory.append(bridge.rss_max_mib)
    return [
        Figure(QUESTION, "one idle stream: share of a core", shares[0], "cores"),
        Figure(QUESTION, f"{size.idle_streams} idle streams: share of a core", shares[1], "cores"),
        Figure(QUESTION, f"{size.idle_streams} idle streams: resident memory", memory[1], "MiB"),
    ]


async def _bridge(
    place: Stage, symbols: list[str], trades_per_s: int, profile: str | None, *, sources: int = 1
) -> Part:
    telling = symbols if trades_per_s else []
    channels = ", ".join(f'"publicTrade.{symbol}"' for symbol in symbols)
    text = ""
    for number in range(sources):
        venue = await place.begin("firehose", trades_per_s=trades_per_s, symbols=telling)
        text += f"""
[sources.by{number}]
venue = "bybit"
rest_url = "http://127.0.0.1:{venue.port}"
ws_url = "ws://127.0.0.1:{venue.port}/v5/public/linear"
channels = [{channels}]
"""
    path = place.write("bridge.toml", text)
    return await place.begin("bridge", config=str(path), database_url=place.postgres.url, profile=profile)


async def _position(place: Stage) -> int:
    return int(await place.sql("SELECT coalesce(sum(position), 0)::bigint FROM streams"))


async def _begun(place: Stage, streams: int) -> bool:
    return int(await place.sql("SELECT count(*) FROM streams WHERE position > 0")) >= streams


async def _has_begun(place: Stage, streams: int) -> bool:
    return int(await place.sql("SELECT count(*) FROM follows WHERE state = 'subscribed'")) >= streams
