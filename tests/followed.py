"""Followed streams in a database: declared, appended to and left with gaps by the code that does it for real."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.channel import Channel
from bridge.core.event import Kind, Transport
from bridge.ingest.followed import Appended, Chapter, GapEnd, GapTurn, Saying, append
from bridge.sources.bybit.channels import channel_of
from bridge.store import connections, follows, leases, streams
from bridge.store.streams import Stream
from tests.events import START, event

BEGAN = START
BEGAN_MS = int(BEGAN.timestamp() * 1000)
SETTLED = BEGAN + timedelta(seconds=100)
EXECUTION = channel_of("execution", category="linear")
TRADES = channel_of("publicTrade.BTCUSDT", category="linear")
BOOK = channel_of("orderbook.50.BTCUSDT", category="linear")


async def declare(engine: AsyncEngine, channel: Channel, *, source: str = "by") -> Stream:
    """The stream of the channel, followed from now on."""
    async with engine.begin() as connection:
        stream = await streams.ensure(
            connection,
            name=channel.stream_of(source),
            source=source,
            numbering="bridge",
            settle_s=channel.settle_s,
        )
        await follows.ensure(connection, stream_id=stream.id, channel=channel)
        await follows.set_states(connection, [(stream.id, "subscribed", "")])
    return stream


async def tell(engine: AsyncEngine, stream: Stream, *turns: GapTurn, count: int = 3, dropped: int = 0) -> Appended:
    """Append ``count`` events, settled until SETTLED, and write down the gaps."""
    said = [Saying(Kind.EVENT, event(None, event_id=f"id-{at}", n=at), Transport.WEBSOCKET) for at in range(count)]
    chapter = Chapter(
        position=0,
        sayings=said,
        began_at=BEGAN,
        settled_until=SETTLED,
        dropped=dropped,
        gaps=turns,
    )
    async with engine.begin() as connection:
        return await append(connection, stream.id, chapter, now=BEGAN)


def turn(first_s: float, last_s: float, state: str | None = None) -> GapTurn:
    """A gap between two seconds after BEGAN, open or closed as ``state``; what is lost is all of it."""
    first_ms, last_ms = BEGAN_MS + int(first_s * 1000), BEGAN_MS + int(last_s * 1000)
    lost_ms = last_ms - first_ms if state == "lost" else 0
    end = None if state is None else GapEnd(state=state, found=0, lost_ms=lost_ms, healed_by=None)
    return GapTurn(gap_id=None, first_ms=first_ms, last_ms=last_ms, end=end)


async def attend(engine: AsyncEngine, *, now: datetime, source: str = "by") -> None:
    """A worker holds the source, and its socket is connected."""
    async with engine.begin() as connection:
        await leases.take(connection, name=f"source:{source}", holder="a", now=now, until=now + timedelta(minutes=5))
        await connections.put(connection, source=source, state="connected", detail="", now=now)
