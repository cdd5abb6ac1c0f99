"""How long after a venue comes back is everything that was missed in the log?"""

from dataclasses import dataclass

import httpx

from bench.figures import Figure
from bench.stage import CLOCK, Stage, stage, until
from bridge.sim.bybit import API_KEY, API_SECRET

QUESTION = "outage"
CHANNELS = ("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT", "execution", "order")
GAPS = "SELECT count(*) FROM gaps"
GAPS_OPEN = "SELECT count(*) FROM gaps WHERE state = 'open'"
TOLD_LOST = "SELECT count(*) FROM log WHERE kind = 'gap'"


@dataclass(frozen=True, slots=True)
class Size:
    events_per_s: float
    before_s: float
    outage_s: float


FULL = Size(events_per_s=50, before_s=5, outage_s=60)
QUICK = Size(events_per_s=50, before_s=3, outage_s=5)
SMOKE = Size(events_per_s=50, before_s=1, outage_s=2)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """Bybit goes away for a while, and trades on."""
    async with stage() as place:
        venue = await place.begin("market", dialect="bybit", events_per_s=size.events_per_s)
        at = f"127.0.0.1:{venue.port}"
        channels = ", ".join(f'"{channel}"' for channel in CHANNELS)
        text = f"""
[sources.by]
venue = "bybit"
rest_url = "http://{at}"
ws_url = "ws://{at}/v5/public/linear"
private_ws_url = "ws://{at}/v5/private"
api_key = "{API_KEY}"
api_secret = "{API_SECRET}"
channels = [{channels}]
"""
        path = place.write("bridge.toml", text)
        await place.begin("bridge", config=str(path), database_url=place.postgres.url, profile=profile)
        await until(lambda: _flowing(place), within_s=60, what="events flow")
        await CLOCK.sleep(size.before_s)
        gaps = int(await place.sql(GAPS))
        async with httpx.AsyncClient(base_url=f"http://{at}", trust_env=False) as venue_control:
            (await venue_control.post("/_sim/down", json={"seconds": size.outage_s})).raise_for_status()
        await until(lambda: _unheard(place, gaps), within_s=30, what="the outage is noticed")
        position = await _replayed(place)
        await until(lambda: _heard_again(place), within_s=size.outage_s + 90, what="the sockets are back")
        back = CLOCK.monotonic()
        await until(lambda: _healed(place), within_s=120, what="everything is healed")
        healed_s = CLOCK.monotonic() - back
        return [
            Figure(QUESTION, "the venue was away", size.outage_s, "s"),
            Figure(QUESTION, "from the reconnect until healed", healed_s, "s"),
            Figure(QUESTION, "events had from the lists", float(await _replayed(place) - position), ""),
            Figure(QUESTION, "stretches told as lost or superseded", float(await place.sql(TOLD_LOST)), ""),
        ]


async def _flowing(place: Stage) -> bool:
    counted = "SELECT count(*) FROM streams WHERE name IN ('by.publicTrade.BTCUSDT', 'by.execution') AND position > 5"
    return int(await place.sql(counted)) == 2


async def _states(place: Stage) -> set[str]:
    return set((await place.sql("SELECT string_agg(DISTINCT state, ',') FROM follows") or "").split(","))


async def _unheard(place: Stage, gaps: int) -> bool:
    """A line is seen to be down, or was so while nobody looked: there are more than those ``gaps`` now."""
    return await _states(place) != {"subscribed"} or int(await place.sql(GAPS)) > gaps


async def _heard_again(place: Stage) -> bool:
    return await _states(place) == {"subscribed"}


async def _replayed(place: Stage) -> int:
    return int(await place.sql("SELECT coalesce(sum(first), 0)::bigint FROM heard WHERE transport = 'replay'"))


async def _healed(place: Stage) -> bool:
    """No gap is open, and every stream is complete up to a moment ago."""
    if int(await place.sql(GAPS_OPEN)):
        return False
    behind_s = "SELECT max(extract(epoch FROM now() - settled_until)) FROM follows WHERE settled_until IS NOT NULL"
    return float(await place.sql(behind_s) or 0) < 15
