"""Reports by HTTP: those that are kept, and those that are made for whoever asks, in each of their forms."""

import re
from datetime import UTC, datetime
from itertools import chain

from anyio.to_thread import run_sync
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bridge.clock import Clock
from bridge.core.event import SEQUENCE_MAX
from bridge.report import HOUR, PERIOD_MAX, NotReportable, Period, Written, make
from bridge.report.forms import FORMS
from bridge.store import reports
from bridge.store.reports import Kept
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.problems import BadParameter
from bridge.web.pull import Reads
from bridge.web.told import told

LIMIT_DEFAULT = 100
EVERYTHING = "*"
DAY = re.compile(r"20\d{2}-\d{2}-\d{2}", re.ASCII)
HOURS_MAX = PERIOD_MAX // HOUR


class Reports:
    """Answers from ``engine``; a page holds at most ``page_max`` reports."""

    def __init__(self, engine: AsyncEngine, clock: Clock, *, page_max: int) -> None:
        self._clock = clock
        self._reads = Reads(engine)
        self._steady = Reads(engine, isolation="REPEATABLE READ")
        self._page_max = page_max

    def routes(self) -> Routes:
        """By the scope that they need."""
        return {
            Scope.READ: [
                Route("/reports", self.listing),
                Route("/reports/{day}", self.report),
            ]
        }

    async def listing(self, request: Request) -> Response:
        """The newest first; ``next`` is what to give as ``before`` for older ones, null where there are none."""
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        found = await self.kept(request, limit)
        kept = [one._asdict() for one in found]
        return told({"reports": kept, "next": found[-1].id if len(found) == limit else None})

    async def kept(self, request: Request, limit: int) -> list[Kept]:
        """Those that are kept, the newest first."""
        parameters.only(request, "before", "limit")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        async with self._reads.connection() as connection:
            return await reports.listing(connection, before=before, limit=limit)

    async def report(self, request: Request, *, form: str = "json") -> Response:
        """The report of a day, or of some hours: the one that is kept, or else one that is made now.

        Where no ``format`` is asked for it is ``form``.
        """
        parameters.only(request, "hour", "hours", "stream", "destination", "format")
        hour = parameters.whole(request, "hour", default=0, least=0, most=23)
        hours = parameters.whole(request, "hours", default=24, least=1, most=HOURS_MAX)
        assert hour is not None
        assert hours is not None
        since = _day(request.path_params["day"]) + hour * HOUR
        form = parameters.word(request, "format", tuple(FORMS)) or form
        return await self._told(request, Period.of(since, since + hours * HOUR), form)

    async def _told(self, request: Request, period: Period, form: str) -> Response:
        stream = parameters.text(request, "stream") or EVERYTHING
        destination = parameters.text(request, "destination") or EVERYTHING
        report = None
        if (stream, destination) == (EVERYTHING, EVERYTHING):
            report = await self._kept(period)
        if report is None:
            try:
                async with self._steady.connection() as connection:
                    report = await make(
                        connection, period, now=self._clock.now(), glob=stream, destination=destination
                    )
            except NotReportable as error:
                raise BadParameter("stream", str(error)) from None
        written = FORMS[form]
        name = f"bridge-{_named(period)}{written.suffix}"
        headers = {"content-disposition": f'inline; filename="{name}"', "etag": f'"{report.digest}"'}
        # Piece by piece, each in a thread: a large one is never in memory as a whole, and may take seconds to draw.
        pieces = written.write(report)
        first = await run_sync(next, pieces, b"")  # what goes wrong goes wrong before anything is said
        return StreamingResponse(chain([first], pieces), media_type=written.media_type, headers=headers)

    async def _kept(self, period: Period) -> Written | None:
        async with self._reads.connection() as connection:
            body = await reports.body(connection, since=period.since, until=period.until)
        return None if body is None else await run_sync(Written.of, reports.unpacked(body))


def _named(period: Period) -> str:
    """The day; of one in part also the hour and how many there are, so that one file is not kept over the other."""
    hours = (period.until - period.since) // HOUR
    is_day = (period.since.hour, hours) == (0, 24)
    return f"{period.since:%Y-%m-%d}" if is_day else f"{period.since:%Y-%m-%dT%H}-{hours}h"


def _day(given: str) -> datetime:
    """Raises BadParameter for what is no day of these centuries."""
    try:
        if DAY.fullmatch(given):
            return datetime.fromisoformat(given).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise BadParameter("day", "must be a day in UTC, such as 2026-01-31")
