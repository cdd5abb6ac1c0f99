"""``bridge gaps``: the holes there are and were, and how they ended."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import Edge
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.store import streams
from bridge.store.gaps import moments
from bridge.store.overview import GapRow, gaps_at_a_glance

COLUMNS = ("id", "stream", "epoch", "first", "last", "state", "age", "deadline", "reads", "withheld", "found", "lost", "healed by")  # fmt: skip  # noqa: E501 - one row, as it is shown
LIMIT_DEFAULT = 50
LIMIT_MAX = 10_000


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def gaps(
        stream: Annotated[str | None, typer.Argument(help="Only of this stream, such as pb.events.")] = None,
        open_only: Annotated[
            bool, typer.Option("--open", help="Only open ones, the nearest deadline first.")
        ] = False,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = LIMIT_DEFAULT,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """The newest gaps first: what was missing, since when, until when it can be had, and how it ended."""

        async def read(engine: AsyncEngine) -> list[GapRow]:
            async with engine.connect() as connection:
                if stream is not None and await streams.read(connection, stream) is None:
                    raise BridgeError(f"there is no stream {show.plain(stream)}: see 'bridge status'")
                return await gaps_at_a_glance(connection, stream=stream, open_only=open_only, limit=limit)

        found = with_database(edge.settings(), read)
        if as_json:
            show.as_json({"gaps": [gap._asdict() | moments(gap) for gap in found]})
        else:
            now = SystemClock().now()
            none = "No gap is open." if open_only else "There was no gap yet."
            show.table("Gaps", COLUMNS, [_row(gap, now) for gap in found], none=none)


def _row(gap: GapRow, now: datetime) -> list[object]:
    is_open = gap.closed_at is None
    return [
        gap.id, gap.stream, gap.epoch, _end(gap, gap.first), _end(gap, gap.last), gap.state,
        show.ago(gap.opened_at, gap.closed_at or now),
        show.until(gap.deadline_at, now) if is_open else "-", gap.reads, gap.withheld,
        "-" if is_open else gap.found, "-" if is_open else gap.lost, gap.healed_by,
    ]  # fmt: skip


def _end(gap: GapRow, at: int) -> object:
    """A number, or the time that is meant by one."""
    return at if gap.axis == "sequence" else datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S.%f")[:-3]
