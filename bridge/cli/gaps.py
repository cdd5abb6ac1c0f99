"""``bridge gaps``: the holes there are and were, and how they ended."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import Edge
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.core.event import SEQUENCE_MAX
from bridge.store import gap_in_full, streams
from bridge.store.gap_in_full import GapInFull
from bridge.store.gaps import Placed, moments
from bridge.store.overview import GapRow, gaps_at_a_glance

COLUMNS = (
    *("id", "stream", "epoch", "first", "last", "state", "age", "deadline", "reads", "withheld"),
    *("found", "lost", "healed by"),
)
EVIDENCE_COLUMNS = ("first", "last", "verdict", "recorded", "refuted", "detail")
READ_COLUMNS = ("at", "why", "since", "upto", "reached", "pages", "rows", "fresh", "not proven because")
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
        gap_id: Annotated[
            int | None,
            typer.Option(
                "--gap", min=1, max=SEQUENCE_MAX, metavar="ID", help="This gap of the stream, with its reads."
            ),
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = LIMIT_DEFAULT,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """The newest gaps first: what was missing, since when, until when it can be had, and how it ended.

        With --gap one of them: what is on record of its span, and every read that was tried for it, the newest first.
        """
        if gap_id is not None:
            _one(with_database(edge.settings(), partial(in_full, stream, gap_id, limit)), as_json=as_json)
            return

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


async def in_full(stream: str | None, gap_id: int, limit: int, engine: AsyncEngine) -> GapInFull:
    """One gap of a stream. Raises BridgeError where there is no such gap."""
    async with engine.connect() as connection:
        row = None if stream is None else await streams.read(connection, stream)
        found = None
        if row is not None:
            found = await gap_in_full.read(connection, stream_id=row.id, gap_id=gap_id, limit=limit)
    if found is None:
        named = f" of {show.plain(stream)}" if stream else ": name its stream too"
        raise BridgeError(f"there is no gap {gap_id}{named}")
    return found


def _one(found: GapInFull, *, as_json: bool) -> None:
    if as_json:
        show.as_json(found.fields())
        return
    gap = found.gap
    span = f"{_end(gap, gap.first)} to {_end(gap, gap.last)}"
    lasted = show.ago(gap.opened_at, gap.closed_at or SystemClock().now())
    ended = "still open" if gap.closed_at is None else f"{gap.state}, {gap.found} found, {gap.lost} lost"
    show.facts(
        f"Gap {gap.id}",
        [
            ("what", f"epoch {gap.epoch}, {span}"),
            ("opened", f"{gap.opened_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("lasted", lasted),
            ("ended", ended),
            ("healed by", gap.healed_by),
        ],
    )
    known = [
        (
            *(one.first, one.last, one.verdict, at(one.recorded_at), at(one.refuted_at)),
            msgspec.json.encode(one.detail).decode(),
        )
        for one in found.evidence
    ]
    show.table("Evidence", EVIDENCE_COLUMNS, known, none="Nothing is on record of its span.")
    tried = [
        (
            *(at(one.at), one.why),
            *(None if number is None else _end(gap, number) for number in (one.since, one.upto, one.reached)),
            *(one.pages, one.rows, one.fresh, one.error or one.withheld),
        )
        for one in found.reads
    ]
    show.table("Reads", READ_COLUMNS, tried, none="No read of it is on record.")


def at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%m-%d %H:%M:%S}"


def _row(gap: GapRow, now: datetime) -> list[object]:
    is_open = gap.closed_at is None
    return [
        gap.id, gap.stream, gap.epoch, _end(gap, gap.first), _end(gap, gap.last), gap.state,
        show.ago(gap.opened_at, gap.closed_at or now),
        show.until(gap.deadline_at, now) if is_open else "-", gap.reads, gap.withheld,
        "-" if is_open else gap.found, "-" if is_open else gap.lost, gap.healed_by,
    ]  # fmt: skip


def _end(gap: Placed, at: int) -> object:
    """A number, or the time that is meant by one."""
    return at if gap.axis == "sequence" else datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S.%f")[:-3]
