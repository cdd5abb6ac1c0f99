"""How one stream stands, put together from its rows: the same fields for people, programs and measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.completeness import Completeness, completeness
from bridge.store import follows, streams
from bridge.store.follows import Follow
from bridge.store.streams import Stream

ROWS_MAX = 1000
GAPS_COUNTED_MAX = 100


class OpenGaps(NamedTuple):
    """The open gaps of one stream: how many, since when the oldest, and the nearest deadline."""

    spans: int
    oldest_at: datetime
    deadline_at: datetime | None


class Missing(NamedTuple):
    """What the newest closed gaps of a stream left untold: numbers, or milliseconds of venue time.

    ``since`` is where they begin if there are older ones, None where these are all.
    """

    amount: int
    since: int | None


NONE_MISSING = Missing(0, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """A stream with what its channel is declared to be, None for one that was never declared, and its gaps."""

    stream: Stream
    follow: Follow | None
    gaps: OpenGaps | None
    missing: Missing

    @property
    def axis(self) -> str:
        """What the stream is proven in: the venue's numbers (``sequence``), or ``time``."""
        return "sequence" if self.stream.numbering == "venue" else "time"

    @property
    def settled_until(self) -> datetime | None:
        """Up to when, in venue time, the stream is complete as far as anybody can tell; None for numbered ones."""
        return None if self.follow is None else self.follow.settled_until

    @property
    def lag(self) -> int | None:
        """How many numbers up to the head are not proven yet; None for a stream that the bridge numbers."""
        if self.axis == "time":
            return None
        frontier = self.stream.frontier
        return 0 if frontier is None else max(0, self.stream.head + 1 - frontier)

    def lag_s(self, now: datetime) -> float | None:
        """How far the frontier in time is behind ``now``; None for a stream that has no such frontier."""
        until = self.settled_until
        return None if until is None else max(0.0, (now - until).total_seconds())

    @property
    def completeness(self) -> Completeness:
        """The share of what lies below the frontier that is told event by event."""
        stream = self.stream
        if self.axis == "sequence":
            begin, end = stream.base, stream.frontier
        else:
            begin, end = _ms(stream.epoch_began_at), _ms(self.settled_until)
        return completeness(
            unnoticed=None if self.follow is None else self.follow.unnoticed,
            in_doubt=stream.suspect_at is not None,
            begin=begin if begin is None or self.missing.since is None else max(begin, self.missing.since),
            end=end,
            missing=self.missing.amount,
        )

    def fields(self) -> dict[str, object]:
        """Everything by name, for a program. What has no meaning for a stream is None."""
        stream, follow, gaps = self.stream, self.follow, self.gaps
        share, reason = self.completeness
        return {
            "stream": stream.name,
            "source": stream.source,
            "numbering": stream.numbering,
            "axis": self.axis,
            "epoch": stream.epoch,
            "base": stream.base,
            "frontier": stream.frontier,
            "head": stream.head,
            "lag": self.lag,
            "position": stream.position,
            "chain": stream.chain.hex(),
            "completeness": share,
            "reason": reason,
            "model": None if follow is None else follow.model,
            "repair": None if follow is None else follow.repair,
            "reach": None if follow is None else follow.reach,
            "unnoticed": None if follow is None else follow.unnoticed,
            "state": None if follow is None else follow.state,
            "detail": None if follow is None else follow.detail,
            "settled_until": self.settled_until,
            "last_number": None if follow is None else follow.last_number,
            "dropped": None if follow is None else follow.dropped,
            "gaps_open": 0 if gaps is None else gaps.spans,
            "oldest_gap_at": None if gaps is None else gaps.oldest_at,
            "nearest_deadline_at": None if gaps is None else gaps.deadline_at,
            "settle_s": stream.settle_s,
            "unmatched": stream.unmatched,
            "anchored_at": stream.anchored_at,
            "stalled_at": stream.stalled_at,
            "suspect_at": stream.suspect_at,
        }


_OPEN_GAPS = text("""
SELECT stream_id, count(*), min(opened_at), min(deadline_at) FROM gaps
WHERE state = 'open' AND stream_id = ANY (CAST(:stream_ids AS int[])) GROUP BY stream_id
""")

# What a snapshot superseded was not told event by event either. Only the newest gaps: history has no bound.
_MISSING = text("""
SELECT s.id, newest.missing, CASE WHEN newest.counted = :gaps_max THEN newest.since END
FROM (SELECT id, epoch FROM streams WHERE id = ANY (CAST(:stream_ids AS int[]))) s
CROSS JOIN LATERAL (
    SELECT count(*) AS counted, min(g.first) AS since,
           coalesce(sum(CASE g.state WHEN 'lost' THEN g.lost WHEN 'superseded' THEN g.last - g.first ELSE 0 END), 0)
               AS missing
    FROM (SELECT epoch, state, first, last, lost FROM gaps
          WHERE stream_id = s.id ORDER BY id DESC LIMIT :gaps_max) g
    WHERE g.epoch = s.epoch
) newest
WHERE newest.missing > 0
""")


async def open_gaps(conn: AsyncConnection, stream_ids: Sequence[int]) -> Mapping[int, OpenGaps]:
    """The open gaps by stream."""
    rows = (await conn.execute(_OPEN_GAPS, {"stream_ids": list(stream_ids)})).all()
    return {row[0]: OpenGaps(*row[1:]) for row in rows}


async def missing(conn: AsyncConnection, stream_ids: Sequence[int]) -> Mapping[int, Missing]:
    """What is missing by stream; a stream that misses nothing is not among them."""
    values = {"stream_ids": list(stream_ids), "gaps_max": GAPS_COUNTED_MAX}
    rows = (await conn.execute(_MISSING, values)).all()
    return {row[0]: Missing(int(row[1]), row[2]) for row in rows}


async def read(conn: AsyncConnection, name: str) -> Stance | None:
    """How the stream of that name stands; None if there is none."""
    stream = await streams.read(conn, name)
    return None if stream is None else (await _stances(conn, [stream]))[0]


async def some(conn: AsyncConnection, ids: Sequence[int]) -> list[Stance]:
    """How the streams of these ids stand, in their order; at most ``ROWS_MAX``."""
    wanted = list(ids[:ROWS_MAX])
    found = {stream.id: stream for stream in await streams.some(conn, wanted)}
    return await _stances(conn, [found[stream_id] for stream_id in wanted if stream_id in found])


async def listing(conn: AsyncConnection, *, limit: int = ROWS_MAX) -> list[Stance]:
    """How every stream stands, by name; at most ``limit``."""
    return await _stances(conn, await streams.listing(conn, limit=limit))


async def _stances(conn: AsyncConnection, found: Sequence[Stream]) -> list[Stance]:
    ids = [stream.id for stream in found]
    gaps, lacks = await open_gaps(conn, ids), await missing(conn, ids)
    declared = {follow.stream_id: follow for follow in await follows.some(conn, ids)}
    return [
        Stance(
            stream=stream,
            follow=declared.get(stream.id),
            gaps=gaps.get(stream.id),
            missing=lacks.get(stream.id, NONE_MISSING),
        )
        for stream in found
    ]


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
