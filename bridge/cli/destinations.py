"""``bridge destinations``: who takes the log, and starting again what was stopped."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import Edge
from bridge.clock import SystemClock
from bridge.config import Settings
from bridge.core.errors import BridgeError
from bridge.store import destinations as store
from bridge.store.overview import Overview, look

COLUMNS = ("destination", "configured", "state", "reason", "since", "behind", "failures")


@dataclass(frozen=True, slots=True)
class Line:
    """One destination. ``behind`` counts entries over all its streams, ``failures`` those in a row at the worst."""

    name: str
    configured: bool
    state: str
    reason: str | None
    changed_at: datetime | None
    behind: int
    failures: int


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Who takes the log.", no_args_is_help=True)
    app.add_typer(group, name="destinations")

    @group.command("list")
    def listing(as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
        """Every destination that is configured, or that was delivered to before."""
        settings = edge.settings()
        found = lines(settings, with_database(settings, look))
        if as_json:
            show.as_json({"destinations": found})
            return
        now = SystemClock().now()
        rows = [
            (
                one.name, "yes" if one.configured else "no", one.state, one.reason, show.ago(one.changed_at, now),
                one.behind, one.failures,
            )
            for one in found
        ]  # fmt: skip
        show.table("Destinations", COLUMNS, rows, none="None is configured.")

    @group.command()
    def resume(name: Annotated[str, typer.Argument(help="The destination's name.")]) -> None:
        """Deliver again to a destination that was stopped, from where it stopped."""

        async def start_again(engine: AsyncEngine) -> None:
            async with engine.begin() as connection:
                if await store.resume(connection, name, now=SystemClock().now()):
                    return
            known = {one.name: one.state for one in (await look(engine)).destinations}
            if name in known:
                raise BridgeError(f"the destination {show.plain(name)} is not stopped")
            raise BridgeError(f"no destination {show.plain(name)} is known: see 'bridge destinations list'")

        with_database(edge.settings(), start_again)
        typer.echo(f"{name} is delivered to again, from where it stopped")


def lines(settings: Settings, overview: Overview) -> list[Line]:
    """What is configured and what is in the rows, by name."""
    known = {one.name: one for one in overview.destinations}
    found = []
    for name in sorted(known.keys() | settings.destinations.keys()):
        row = known.get(name)
        cursors = [cursor for cursor in overview.cursors if cursor.destination == name]
        found.append(
            Line(
                name,
                name in settings.destinations,
                "new" if row is None else row.state,
                None if row is None else row.reason,
                None if row is None else row.changed_at,
                sum(cursor.behind for cursor in cursors),
                max((cursor.failures for cursor in cursors), default=0),
            )
        )
    return found
