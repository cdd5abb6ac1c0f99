"""``bridge report``: what became of every number in a period, for whoever signs the day."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError, ConfigError
from bridge.report import Period, Written, make
from bridge.report.brief import brief_of
from bridge.report.forms import FORMS
from bridge.report.shape import DestinationReport, Report, StreamReport
from bridge.report.telling import ROWS_MAX, bounds, duration

DAY = timedelta(days=1)
COLUMNS = (
    *("stream", "complete", "assigned", "events", "void", "lost", "open", "late", "recovered", "conflicts"),
    *("gaps", "superseded", "p95", "most behind", "behind", "webhook", "socket", "replay", "position"),
)
DELIVERY_COLUMNS = (
    *("destination", "delivered", "first try", "attempts", "p50", "p99", "owed", "oldest"),
    *("parked", "expired"),
)
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    DELIVERIES_CSV = "deliveries-csv"
    HTML = "html"
    PDF = "pdf"


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def report(
        day: Annotated[
            datetime | None,
            typer.Option(formats=["%Y-%m-%d"], help="A day in UTC; yesterday, if no period is given."),
        ] = None,
        since: Annotated[
            datetime | None, typer.Option("--from", formats=TIMES, help="From this hour, in UTC.")
        ] = None,
        until: Annotated[
            datetime | None, typer.Option("--to", formats=TIMES, help="Before this hour, in UTC.")
        ] = None,
        stream: Annotated[str, typer.Option(metavar="GLOB", help="Streams with such a name.")] = "*",
        destination: Annotated[str, typer.Option(metavar="GLOB", help="Destinations with such a name.")] = "*",
        form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.TABLE,
        output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to, if it is no table.")] = None,
    ) -> None:
        """What became of every number in a period. Exit code 1 if something was lost, or contradicts itself."""
        now = SystemClock().now()
        period = period_of(day, since, until, now=now)
        if output is None and form is Format.PDF and sys.stdout.isatty():
            raise BridgeError("a PDF is not for a terminal: name a file with --output")
        if output is not None and form is Format.TABLE:
            raise ConfigError("--output: a table is for a terminal: say with --format how the file is written")

        async def read(engine: AsyncEngine) -> Written:
            async with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
                return await make(connection, period, now=now, glob=stream, destination=destination)

        made = with_database(edge.settings(), read)
        if form is Format.TABLE:
            _print(brief_of(made).report)
        elif output is not None:
            _write(output, FORMS[form].write(made))
        else:
            typer.get_binary_stream("stdout").writelines(FORMS[form].write(made))
            if form is Format.JSON:
                typer.echo()
        if any(_is_bad(one) for one in made.streams()):
            raise typer.Exit(PROBLEM)


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as out:
            out.writelines(pieces)
    except OSError as error:
        raise ConfigError(f"--output: {path} cannot be written: {error.strerror}") from None


def _is_bad(one: StreamReport) -> bool:
    return bool(one.counts.lost or one.counts.conflicts or one.gaps.lost or one.audits.unlisted)


def period_of(day: datetime | None, since: datetime | None, until: datetime | None, *, now: datetime) -> Period:
    """The period that was asked for. Raises BridgeError for one that is none."""
    if day is not None and (since is not None or until is not None):
        raise BridgeError("give --day, or --from and --to")
    if (since is None) != (until is None):
        raise BridgeError("--from and --to belong together")
    if since is None or until is None:
        since = (day or now - DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        if since.date() == date.max:
            raise BridgeError("--day: the calendar ends with this day")
        until = since + DAY
    return Period.of(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))


def _print(report: Report) -> None:
    show.table(
        f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC",
        COLUMNS,
        [_row(stream) for stream in report.streams],
        none="no stream of that name",
    )
    if report.destinations:
        rows = [_delivery_row(one) for one in report.destinations]
        show.table("destinations", DELIVERY_COLUMNS, rows, none="")
    reasons = sorted({stream.why for stream in report.streams if stream.why is not None})
    for reason in reasons:
        typer.echo(f"no completeness: {reason}")
    _print_losses(report.streams)
    for stream in report.streams:
        audits = stream.audits
        if audits.fresh or audits.conflicts or audits.unlisted:
            typer.echo(
                f"audits: {stream.stream}: {audits.fresh} missed, {audits.conflicts} with other content,"
                f" {audits.unlisted} unlisted"
            )
    typer.echo(f"digest {report.digest}")


def _print_losses(streams: Sequence[StreamReport]) -> None:
    """Each with its evidence, as many as somebody reads; the others are in every other form."""
    lost = [(stream.stream, one) for stream in streams for one in stream.gaps.lost]
    for stream, one in lost[:ROWS_MAX]:
        begin, end, much = bounds(one)
        typer.echo(f"lost: {stream} epoch {one.epoch}, {begin} to {end}: {much}: {show.plain(one.evidence)}")
    more = sum(stream.gaps.lost_more for stream in streams) + max(0, len(lost) - ROWS_MAX)
    if more:
        typer.echo(f"lost: {more:,} more ranges")


def _row(stream: StreamReport) -> list[object]:
    counts, ended = stream.counts, stream.ended
    percent = None if stream.complete_percent is None else f"{stream.complete_percent:g} %"
    slowest = max((line.p95_s for line in stream.gaps.closed), default=None)
    return [
        *(stream.stream, percent, counts.assigned, counts.events, counts.void, counts.lost),
        *(None if ended is None or counts.void is None else ended.open, counts.late, counts.recovered),
        *(counts.conflicts, stream.gaps.opened, counts.superseded, None if slowest is None else duration(slowest)),
        *(duration(stream.lag.most_s), duration(stream.lag.at_end_s)),
        *(counts.webhook.told, counts.websocket.told, counts.replay.told, None if ended is None else ended.position),
    ]


def _delivery_row(one: DestinationReport) -> list[object]:
    told = one.deliveries
    percent = None if one.first_try_percent is None else f"{one.first_try_percent:g} %"
    p50, p99 = (None if ms is None else f"{ms:g} ms" for ms in (told.p50_ms, told.p99_ms))
    oldest = None if one.oldest_at is None else f"{one.oldest_at:%Y-%m-%d %H:%M:%S}"
    return [
        *(one.destination, told.delivered, percent, told.attempts, p50, p99),
        *(one.owed, oldest, told.parked, told.expired),
    ]
