"""What a consumer can compare, and what it may rely on: digests of any stretch of a log, and what is proven of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.core.coverage import Coverage
from bridge.core.event import SEQUENCE_MAX
from bridge.core.span import Span
from bridge.core.timeline import moment
from bridge.store import covering, digests, evidence, gaps, stance
from bridge.store.covering import Loss
from bridge.store.digests import Bounds, Content
from bridge.store.gaps import Gap
from bridge.store.stance import Stance
from bridge.web import parameters
from bridge.web.problems import BadParameter
from bridge.web.pull import ABSENT, Forgotten, Reads, bounds_of, name_of
from bridge.web.told import told

LIMIT_DEFAULT = 100
EPOCH_MAX = 2**31 - 1
AXES = ("position", "sequence")


class Proof:
    """Digests and coverage. A list of losses or gaps holds at most ``page_max``."""

    def __init__(self, reads: Reads, *, page_max: int) -> None:
        self._reads = reads
        self._page_max = page_max

    async def digest(self, request: Request) -> Response:
        """What a stretch of the log comes to. ``content`` may end before ``to``: then it says where to go on."""
        parameters.only(request, "from", "to", "by", "epoch")
        by = parameters.word(request, "by", AXES) or "position"
        if by == "position" and "epoch" in request.query_params:
            raise BadParameter("epoch", "goes with by=sequence")
        begin = parameters.whole(request, "from", default=None, least=1, most=SEQUENCE_MAX)
        last = _whole(request, "to", SEQUENCE_MAX, least=1, most=SEQUENCE_MAX)
        if begin is not None and last < begin:
            raise BadParameter("to", "must not be below from")
        epoch = _whole(request, "epoch", 1, least=1, most=EPOCH_MAX)
        async with self._reads.connection() as connection:
            bounds = await bounds_of(connection, name_of(request))
            if by == "sequence":
                first = begin or 1
                content = await digests.by_sequence(
                    connection, stream_id=bounds.id, epoch=epoch, first=first, last=last
                )
                span = {"by": by, "epoch": epoch, "from": first, "to": last, "count": None}
                chains = {"chain_before": None, "chain": None}
                return told({"stream": bounds.name} | span | chains | {"content": _content(content, last)})
            try:
                first = begin or bounds.forgotten + 1
                return told(await _by_position(connection, bounds, first, min(last, bounds.position)))
            except Forgotten as forgotten:
                return forgotten.response()

    async def coverage(self, request: Request) -> Response:
        """What is proven, what is lost, what is still asked for, and which losses nobody could notice."""
        parameters.only(request, "below", "limit")
        below = parameters.whole(request, "below", default=None, least=0, most=SEQUENCE_MAX)
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        async with self._reads.connection() as connection:
            found = await stance.read(connection, name_of(request))
            if found is None:
                raise HTTPException(404, ABSENT)
            if found.axis == "time" and below is not None:
                raise BadParameter("below", "is a number, and this stream is proven in time")
            spans = await (
                _in_time(connection, found, limit)
                if found.axis == "time"
                else _in_numbers(connection, found, below, limit)
            )
        return told(_head(found) | spans)


async def _by_position(connection: AsyncConnection, bounds: Bounds, first: int, last: int) -> dict[str, object]:
    if first <= bounds.forgotten:
        raise Forgotten(bounds.name, bounds.forgotten + 1)
    span: dict[str, object] = {"stream": bounds.name, "by": "position", "epoch": None, "from": first}
    if last < first:
        before = await digests.chain_at(connection, bounds, first - 1)
        nothing = _content(Content(first, last, 0, bytes(32)), last)
        chain = None if before is None else before.hex()
        return span | {"to": last, "count": 0, "chain_before": chain, "chain": chain, "content": nothing}
    before = await digests.chain_at(connection, bounds, first - 1)
    chain_last = await digests.chain_at(connection, bounds, last)
    content = await digests.by_position(connection, stream_id=bounds.id, first=first, last=last)
    if before is None or chain_last is None:  # deleted since the bounds were looked at
        raise Forgotten(bounds.name, (await digests.bounds(connection, bounds.name) or bounds).forgotten + 1)
    return span | {
        "to": last,
        "count": last - first + 1,
        "chain_before": before.hex(),
        "chain": chain_last.hex(),
        "content": _content(content, last),
    }


def _content(content: Content, last: int) -> dict[str, object]:
    return {
        "from": content.first,
        "to": content.last,
        "count": content.numbered,
        "digest": content.digest.hex(),
        "next": content.last + 1 if content.last < last else None,
    }


def _head(found: Stance) -> dict[str, object]:
    """Where the stream is, and what may be missing without anybody's knowing."""
    follow, (share, reason) = found.follow, found.completeness
    return {
        "stream": found.stream.name,
        "axis": found.axis,
        "epoch": found.stream.epoch,
        "base": found.stream.base if found.axis == "sequence" else None,
        "frontier": found.stream.frontier if found.axis == "sequence" else None,
        "head": found.stream.head if found.axis == "sequence" else None,
        "settled_until": found.settled_until,
        "limits": {
            "completeness": share,
            "reason": reason,
            "unnoticed": None if follow is None else follow.unnoticed,
            "model": None if follow is None else follow.model,
            "repair": None if follow is None else follow.repair,
            "reach": None if follow is None else follow.reach,
            "settle_s": found.stream.settle_s,
        },
    }


async def _in_numbers(connection: AsyncConnection, found: Stance, below: int | None, limit: int) -> dict[str, object]:
    stream = found.stream
    highest = SEQUENCE_MAX if below is None else below
    lost = await covering.losses(connection, stream_id=stream.id, epoch=stream.epoch, below=highest, limit=limit)
    since = lost[-1].first if len(lost) == limit else stream.base
    proven = Coverage()
    if stream.frontier is not None and since is not None:
        proven = _without(
            since, min(stream.frontier, highest + 1), (Span.inclusive(one.first, one.last) for one in lost)
        )
        if below is None:
            above = await evidence.above(
                connection, stream_id=stream.id, epoch=stream.epoch, frontier=stream.frontier
            )
            proven |= Coverage.of(one.span for one in above if one.verdict == "proof").within(
                Span(stream.frontier, SEQUENCE_MAX + 2)
            )
    missing = await gaps.listing(connection, stream_id=stream.id, open_only=True, limit=limit)
    return {
        "since": since,
        "proven": [{"first": one.first, "last": one.last, "from": None, "to": None} for one in proven.spans],
        "lost": [_lost(one) for one in lost],
        "gaps": [_gap(one) for one in missing],
        "next": since - 1 if len(lost) == limit and since is not None else None,
    }


async def _in_time(connection: AsyncConnection, found: Stance, limit: int) -> dict[str, object]:
    stream = found.stream
    newest = await gaps.in_time(connection, stream_id=stream.id, limit=limit)
    begin, end = _ms(found.stream.epoch_began_at), _ms(found.settled_until)
    if len(newest) == limit:
        begin = max(begin or 0, newest[-1].first)
    proven = Coverage()
    if begin is not None and end is not None:
        proven = _without(begin, end, (Span(gap.first, max(gap.first + 1, gap.last)) for gap in newest))
    return {
        "since": begin,
        "proven": [
            {"first": one.start, "last": one.stop, "from": moment(one.start * 1000), "to": moment(one.stop * 1000)}
            for one in proven.spans
        ],
        "lost": [
            {"first": gap.first, "last": gap.last, **gaps.moments(gap), "found": gap.found, "detail": {}}
            | {"recorded_at": gap.closed_at}
            for gap in newest
            if gap.state == "lost"
        ],
        "gaps": [_gap(gap) for gap in newest if gap.state == "open"],
        "next": None,
    }


def _without(start: int, stop: int, holes: Iterable[Span]) -> Coverage:
    return Coverage(Coverage.of(holes).missing(Span(start, stop))) if start < stop else Coverage()


def _lost(loss: Loss) -> dict[str, object]:
    return {
        "first": loss.first,
        "last": loss.last,
        "from": None,
        "to": None,
        "found": loss.found,
        "detail": loss.detail,
        "recorded_at": loss.recorded_at,
    }


def _gap(gap: Gap) -> dict[str, object]:
    names: Sequence[str] = ("id", "first", "last", "opened_at", "deadline_at", "reads", "withheld")
    return {name: getattr(gap, name) for name in names} | gaps.moments(gap)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _whole(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    found = parameters.whole(request, name, default=default, least=least, most=most)
    assert found is not None
    return found
