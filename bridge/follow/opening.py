"""What a follower begins with: each channel's stream as the database knows it."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.channel import Channel, Repair
from bridge.core.sequel import Sequel
from bridge.core.span import Span
from bridge.core.timeline import Timeline, micros
from bridge.follow.chained import ChainedStream
from bridge.follow.hole import Hole
from bridge.follow.limits import FollowLimits
from bridge.follow.timed import TimedStream
from bridge.store import follows, gaps, streams
from bridge.store.direct import Executes
from bridge.store.engine import store_errors
from bridge.store.follows import Follow
from bridge.store.streams import Stream

FollowedStream = TimedStream | ChainedStream
LOST_MAX = 1_000


async def open_streams(
    engine: AsyncEngine, source: str, channels: Sequence[Channel], limits: FollowLimits
) -> Mapping[str, FollowedStream]:
    """The streams of a source by series, made if they are new. Raises StoreUnavailable."""
    opened: dict[str, FollowedStream] = {}
    with store_errors():
        async with engine.begin() as connection:
            for channel in channels:
                stream = await streams.ensure(
                    connection,
                    name=f"{source}.{channel.series}",
                    source=source,
                    numbering="bridge",
                    settle_s=channel.settle_s,
                )
                follow = await follows.ensure(connection, stream_id=stream.id, channel=channel)
                begin = _chained if channel.in_session else _timed
                opened[channel.series] = await begin(connection, stream, follow, channel, limits)
    return opened


async def _timed(
    connection: Executes, stream: Stream, follow: Follow, channel: Channel, limits: FollowLimits
) -> FollowedStream:
    opened = TimedStream(stream.name, stream.id, channel, limits, position=stream.position)
    if follow.settled_until is None:
        return opened
    opened.timeline = Timeline(micros(follow.settled_until), limits.events_waiting_max, limits.remembered_max)
    if stream.epoch_began_at is not None:
        opened.timeline.forget_before(micros(stream.epoch_began_at))
    told = await follows.remembered(connection, stream_id=stream.id, limit=limits.remembered_max)
    opened.timeline.remember(
        [(event_id, micros(at)) for event_id, at in told if at is not None],
        all_of_it=len(told) < limits.remembered_max,
    )
    was = await gaps.in_time(connection, stream_id=stream.id, limit=LOST_MAX)
    opened.timeline.was_lost(Span(gap.first * 1000, (gap.last + 1) * 1000) for gap in was if gap.state == "lost")
    opened.resume(next((_hole(gap) for gap in was if gap.state == "open"), None))
    return opened


async def _chained(
    connection: Executes, stream: Stream, follow: Follow, channel: Channel, limits: FollowLimits
) -> FollowedStream:
    sequel = Sequel(
        channel.model,
        pulls=channel.repair is Repair.PULL,
        comparable=channel.repair is Repair.PULL,
        last=follow.last_number,
        begun=stream.position > 0,
    )
    opened = ChainedStream(stream.name, stream.id, channel, limits, sequel, position=stream.position)
    if follow.settled_until is not None:
        opened.settled_us = micros(follow.settled_until)
    was = await gaps.in_time(connection, stream_id=stream.id, limit=LOST_MAX)
    opened.resume(next((_hole(gap) for gap in was if gap.state == "open"), None))
    return opened


def _hole(gap: gaps.Gap) -> Hole:
    return Hole(gap.first * 1000, gap.last * 1000, gap_id=gap.id)
