"""The report of each day: made once when the day is over, kept, and told to the destinations that ask for it.

What is due is in rows, so that a worker that dies leaves nothing untold; a destination that was told, and whose
answer was lost, is told again with the same ``webhook-id``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core import envelope
from bridge.core.delivery import Answered
from bridge.core.destination import DestinationPolicy
from bridge.core.retry import backoff_s
from bridge.core.tracing import HEADER
from bridge.deliver.limits import Posting
from bridge.egress import Egress
from bridge.report import NotReportable, Period, Written, make
from bridge.report.brief import brief_of
from bridge.report.shape import Report
from bridge.store import reports
from bridge.store.engine import store_errors
from bridge.store.reports import Kept, Notice

log = structlog.get_logger()

TYPE = "bridge.report"
STREAM = "bridge.report"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """A day is reported ``after_s`` it ended, so that what was on its way is in; up to ``days_max`` at once.

    The first report of all is of that many days ago at most; after that no day is left out, but for what would be
    older than ``keep_days``, which is how long retention keeps reports.

    A destination is told up to ``attempts_max`` times, at most ``retry_max_s`` apart.
    """

    after_s: float = 900.0
    days_max: int = 7
    keep_days: float = 400.0
    notices_max: int = 100
    attempts_max: int = 20
    retry_first_s: float = 30.0
    retry_max_s: float = 3_600.0


class Reporting:
    """Makes and tells. ``policies`` is asked who is delivered to now; ``jitter`` gives numbers in [0, 1)."""

    def __init__(
        self,
        engine: AsyncEngine,
        egress: Egress,
        clock: Clock,
        *,
        policies: Callable[[], Sequence[DestinationPolicy]],
        jitter: Callable[[], float],
        limits: ReportLimits | None = None,
        posting: Posting | None = None,
    ) -> None:
        self._engine = engine
        self._egress = egress
        self._clock = clock
        self._policies = policies
        self._jitter = jitter
        self._limits = limits or ReportLimits()
        self._posting = posting

    async def tick(self) -> int:
        """Make what is due and tell who waits for it; returns how many reports were made and told.

        Raises:
            StoreUnavailable: the database is away; what was done so far is done.
        """
        return await self._make() + await self._tell()

    async def _make(self) -> int:
        limits = self._limits
        ended = self._clock.now() - timedelta(seconds=limits.after_s)
        today = ended.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        since, oldest = today - DAY * limits.days_max, self._clock.now() - DAY * limits.keep_days
        with store_errors():
            async with self._engine.connect() as conn:
                due = await reports.missing(conn, since=since, oldest=oldest, today=today, limit=limits.days_max)
        made = 0
        for day in due:
            try:
                made += await self._keep(Period.of(day, day + DAY))
            except NotReportable as error:
                log.error("report.refused", day=f"{day:%Y-%m-%d}", reason=str(error))
        return made

    async def _keep(self, period: Period) -> bool:
        with store_errors():
            async with self._engine.execution_options(isolation_level="REPEATABLE READ").connect() as conn:
                report = await make(conn, period, now=self._clock.now())
        body = await run_sync(reports.packed, report.chunks())
        names = [policy.name for policy in self._policies() if policy.reports]
        with store_errors():
            async with self._engine.begin() as conn:
                kept = await reports.keep(
                    conn,
                    since=period.since,
                    until=period.until,
                    digest=report.digest,
                    body=body,
                    names=names,
                    now=self._clock.now(),
                )
        if kept:
            log.info("report.made", day=f"{period.since:%Y-%m-%d}", digest=report.digest)
        return kept

    async def _tell(self) -> int:
        wanted = {policy.name: policy for policy in self._policies()}
        now, limits = self._clock.now(), self._limits
        lease_s = limits.notices_max * max((policy.timeout_s for policy in wanted.values()), default=0.0)
        with store_errors():
            async with self._engine.begin() as conn:
                due = await reports.take(
                    conn, list(wanted), now=now, until=now + timedelta(seconds=lease_s), limit=limits.notices_max
                )
        briefs = {kept: await self._brief(kept) for kept in dict.fromkeys(notice.report for notice in due)}
        told_of = [(notice, report) for notice in due if (report := briefs[notice.report]) is not None]
        return sum([await self._post(notice, wanted[notice.destination], report) for notice, report in told_of])

    async def _brief(self, kept: Kept) -> Report | None:
        """What a report says in all, read once however many are told of it; None if it is deleted by now."""
        with store_errors():
            async with self._engine.connect() as conn:
                body = await reports.body(conn, since=kept.since, until=kept.until)
        return None if body is None else await run_sync(lambda: brief_of(Written.of(reports.unpacked(body))).report)

    async def _post(self, notice: Notice, policy: DestinationPolicy, report: Report) -> bool:
        now = self._clock.now()
        content = told(report, now)
        identity = f"{TYPE}:{policy.name}:{notice.report.since.isoformat()}:{notice.report.digest}"
        headers = envelope.notice_headers(
            STREAM,
            content,
            identity,
            keys=policy.secrets,
            timestamp_s=int(now.timestamp()),
            attempt=notice.attempts,
        )
        post = None
        if self._posting is not None:
            post = self._posting.notice(policy.name, STREAM, identity, attempt=notice.attempts, at=now)
            headers[HEADER] = post.traceparent
        outcome = await self._egress.post(
            policy.url, headers, content, timeout_s=policy.timeout_s, allow_private=policy.allow_private
        )
        if isinstance(outcome, Answered) and 200 <= outcome.status < 300:
            error = None
        else:
            error = f"answered {outcome.status}" if isinstance(outcome, Answered) else outcome.reason
        if post is not None:
            post.end("accepted" if error is None else "unknown", outcome)
        with store_errors():
            async with self._engine.begin() as conn:
                if error is None:
                    await reports.told(conn, notice, now=self._clock.now())
                else:
                    await reports.failed(conn, notice, error=error, due_at=self._again_at(notice))
        if error is None:
            log.info("report.told", destination=policy.name, day=f"{notice.report.since:%Y-%m-%d}")
        else:
            log.warning("report.untold", destination=policy.name, error=error, attempt=notice.attempts)
        return error is None

    def _again_at(self, notice: Notice) -> datetime | None:
        limits = self._limits
        if notice.attempts >= limits.attempts_max:
            return None
        wait_s = backoff_s(
            notice.attempts, first_s=limits.retry_first_s, max_s=limits.retry_max_s, jitter=self._jitter()
        )
        return self._clock.now() + timedelta(seconds=wait_s)


def told(report: Report, now: datetime) -> bytes:
    """What a destination is told of a report: its totals, its digest, and where the whole of it is."""
    counts = [stream.counts for stream in report.streams]
    return envelope.notice(
        TYPE,
        STREAM,
        now,
        since=report.since.isoformat(),
        until=report.until.isoformat(),
        digest=report.digest,
        path=f"/v1/reports/{report.since:%Y-%m-%d}",
        streams=len(counts),
        **{name: sum(getattr(one, name) for one in counts) for name in ("events", "late", "recovered", "conflicts")},
        **{name: sum(getattr(one, name) or 0 for one in counts) for name in ("assigned", "void", "lost")},
        stretches_lost=sum(one.stretches_lost for one in counts),
        gaps_open=sum(stream.gaps.open for stream in report.streams),
    )
