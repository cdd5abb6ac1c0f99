"""``bridge status``: streams, sockets and destinations at a glance."""

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli import show, stream
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.store.overview import Cursor, Overview, look

SOURCES = ("source", "socket", "since", "detail")
DESTINATIONS = (
    "destination",
    "stream",
    "position",
    "behind",
    "oldest",
    "failures",
    "next try",
    "state",
    "last error",
)


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def status(
        name: Annotated[
            str | None, typer.Argument(metavar="[STREAM]", help="All that is known of this stream.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Streams, sockets and destinations. Exit code 1 if one of them waits for a person."""
        overview = with_database(edge.settings(), look)
        if name is not None:
            overview = overview.of(name)
            if not overview.stances:
                raise BridgeError(f"there is no stream {show.plain(name)}: see 'bridge status'")
        now = SystemClock().now()
        if as_json:
            show.as_json(members(overview, now))
        elif name is None:
            _print(overview, now)
        else:
            [stance] = overview.stances
            facts = stream.facts(stance, overview.connection_of(stance), overview.heard_of(stance), now)
            show.facts(name, list(facts))
        if waits_for_a_person(overview, now):
            raise typer.Exit(PROBLEM)


def waits_for_a_person(overview: Overview, now: datetime) -> bool:
    """Whether something will not mend itself: doubtful numbers, a stopped destination, a refused key or channel."""
    return (
        any(one.suspect_at is not None for one in overview.streams)
        or any(follow.state == "refused" for follow in overview.follows.values())
        or any(destination.state == "stopped" for destination in overview.destinations)
        or any(connection.state_at(now) == "misconfigured" for connection in overview.connections)
    )


def members(overview: Overview, now: datetime) -> dict[str, object]:
    """Everything, for a program."""
    return {
        "at": now,
        "streams": [
            one.fields() | {"heard": {way: heard._asdict() for way, heard in overview.heard_of(one).items()}}
            for one in overview.stances
        ],
        "sources": [
            {"source": one.source, "socket": one.state_at(now), "since": one.changed_at, "detail": one.detail}
            for one in overview.connections
        ],
        "destinations": [
            {
                "name": one.name,
                "state": one.state,
                "reason": one.reason,
                "streams": [
                    cursor._asdict() | {"behind": cursor.behind}
                    for cursor in overview.cursors
                    if cursor.destination == one.name
                ],
            }
            for one in overview.destinations
        ],
    }


def _print(overview: Overview, now: datetime) -> None:
    rows = [stream.row(one, overview.connection_of(one), now) for one in overview.stances]
    show.table("Streams", stream.COLUMNS, rows, none="No stream yet: 'bridge run' or 'bridge worker' makes them.")
    sockets = [
        (one.source, show.state(one.state_at(now), fine="connected"), show.ago(one.changed_at, now), one.detail)
        for one in overview.connections
    ]
    show.table("Sources", SOURCES, sockets, none="No socket was ever listened to.")
    show.table("Destinations", DESTINATIONS, _destination_rows(overview, now), none="Nothing was delivered yet.")


def _destination_rows(overview: Overview, now: datetime) -> list[list[object]]:
    rows: list[list[object]] = []
    for one in overview.destinations:
        state = show.state(one.state if one.reason is None else f"{one.state}: {one.reason}", fine="active")
        cursors = [cursor for cursor in overview.cursors if cursor.destination == one.name]
        rows += [_cursor_row(cursor, state, now) for cursor in cursors]
        if not cursors:
            rows.append([one.name, "-", "-", "-", "-", "-", "-", state, "-"])
    return rows


def _cursor_row(cursor: Cursor, state: Text, now: datetime) -> list[object]:
    waits = show.until(cursor.due_at, now) if cursor.failures and cursor.due_at > now else "-"
    return [
        cursor.destination, cursor.stream, cursor.position, cursor.behind, show.ago(cursor.oldest_at, now),
        cursor.failures, waits, state, _trouble(cursor),
    ]  # fmt: skip


def _trouble(cursor: Cursor) -> str | None:
    """What was kept from the destination, and what it answered last."""
    if cursor.expired_first is None:
        return cursor.last_error
    expired = f"expired before it was delivered: {cursor.expired_first}-{cursor.expired_last}"
    return expired if cursor.last_error is None else f"{expired}; {cursor.last_error}"
