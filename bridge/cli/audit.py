"""``bridge audit``: who did what, and when."""

from typing import Annotated

import typer

from bridge.cli import show
from bridge.cli.edge import Edge
from bridge.cli.operating import acted, line
from bridge.clock import SystemClock
from bridge.core.event import SEQUENCE_MAX
from bridge.store import audit as store

COLUMNS = ("id", "ago", "actor", "action", "subject", "detail")
LIMIT_MAX = 10_000


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Who did what.", no_args_is_help=True)
    app.add_typer(group, name="audit")

    @group.callback()
    def _group() -> None:
        """Who did what."""

    @group.command("list")
    def listing(
        subject: Annotated[str | None, typer.Option(help="Only what was done to this one.")] = None,
        before: Annotated[
            int | None, typer.Option(min=1, max=SEQUENCE_MAX, help="Only older than the one with this id.")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """The newest first."""
        found = acted(edge, lambda act: store.listing(act.conn, before=before, subject=subject, limit=limit))
        if as_json:
            show.as_json({"audit": [deed._asdict() for deed in found]})
            return
        now = SystemClock().now()
        rows = [
            (deed.id, show.ago(deed.at, now), deed.actor, deed.action, deed.subject, line(deed.detail))
            for deed in found
        ]
        show.table("Audit", COLUMNS, rows, none="Nothing was done yet.")
