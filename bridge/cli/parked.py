"""``bridge destinations parked``: entries that a destination did not take, and what becomes of them."""

from typing import Annotated

import typer

from bridge.cli import show
from bridge.cli.edge import Edge
from bridge.cli.operating import acted
from bridge.clock import SystemClock
from bridge.core.event import SEQUENCE_MAX
from bridge.operate import parking
from bridge.operate.acting import Acting
from bridge.store import parked as store
from bridge.store.parked import Parked

COLUMNS = ("stream", "position", "state", "attempts", "status", "parked", "ended by", "reason", "error")
LIMIT_MAX = 1_000

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Name = Annotated[str, typer.Argument(help="The destination's name.")]
Stream = Annotated[str, typer.Argument(help="The entry's stream.")]
Position = Annotated[int, typer.Argument(min=1, max=SEQUENCE_MAX, help="The entry's position.")]


def register(group: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``group``."""
    within = typer.Typer(help="What a destination did not take.", no_args_is_help=True)
    group.add_typer(within, name="parked")
    _looking(within, edge)
    _ending(within, edge)


def _looking(within: typer.Typer, edge: Edge) -> None:
    @within.command("list")
    def listing(
        name: Name,
        state: Annotated[str | None, typer.Option(help="parked, due, redelivered or discarded.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 100,
        as_json: Json = False,
    ) -> None:
        """Entries by stream and position."""

        async def read(act: Acting) -> list[Parked]:
            found = await act.known(name)
            return await store.listing(act.conn, found.id, state=state, limit=limit)

        _tell(acted(edge, read), as_json=as_json)

    @within.command("show")
    def show_one(name: Name, stream: Stream, position: Position, as_json: Json = False) -> None:
        """One entry."""
        _, found = acted(edge, lambda act: parking.entry(act, name, stream, position))
        if as_json:
            show.as_json(found)
        else:
            _tell([found], as_json=False)


def _ending(within: typer.Typer, edge: Edge) -> None:
    @within.command()
    def redeliver(
        name: Name,
        stream: Annotated[str | None, typer.Argument(help="The entry's stream.")] = None,
        position: Annotated[int | None, typer.Argument(min=1, max=SEQUENCE_MAX, help="The entry's position.")] = None,
        everything: Annotated[bool, typer.Option("--all", help="Everything that is parked.")] = False,
        as_json: Json = False,
    ) -> None:
        """Send an entry again, out of its turn, or all of them."""
        if everything == (stream is not None and position is not None):
            raise typer.BadParameter("name a stream and a position, or say --all")

        async def again(act: Acting) -> int:
            if stream is None or position is None:
                return await parking.redeliver_all(act, name)
            await parking.redeliver(act, name, stream, position)
            return 1

        wanted = acted(edge, again)
        if as_json:
            show.as_json({"entries": wanted})
        else:
            typer.echo(f"sent again: {wanted}")

    @within.command()
    def discard(
        name: Name,
        stream: Stream,
        position: Position,
        reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
        as_json: Json = False,
    ) -> None:
        """Give an entry up for good."""
        acted(edge, lambda act: parking.discard(act, name, stream, position, reason=reason))
        if as_json:
            show.as_json({"discarded": {"stream": stream, "position": position}})
        else:
            typer.echo(f"{position} of {stream} is discarded")


def _tell(found: list[Parked], *, as_json: bool) -> None:
    if as_json:
        show.as_json({"parked": found})
        return
    now = SystemClock().now()
    rows = [
        (
            one.stream, one.position, one.state, one.attempts, one.status, show.ago(one.parked_at, now),
            one.ended_by, one.reason, one.error,
        )
        for one in found
    ]  # fmt: skip
    show.table("Parked", COLUMNS, rows, none="Nothing is parked.")
