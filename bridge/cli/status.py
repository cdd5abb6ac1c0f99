"""``bridge status``: streams, sockets and destinations at a glance."""

from dataclasses import asdict
from datetime import datetime
from math import floor
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli import show, stream
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.store.budgets import UpstreamBudget
from bridge.store.connections import Connection
from bridge.store.overview import Cursor, Overview, look

SOURCES = ("source", "socket", "since", "budget", "detail")
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
        "sources": _sources(overview, now),
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


def _sources(overview: Overview, now: datetime) -> list[dict[str, object]]:
    """Each source with its socket, if it has one, and what its holder said last of the venue's quotas."""
    return [
        {
            "source": name,
            "socket": socket.state_at(now) if socket else None,
            "since": socket.changed_at if socket else None,
            "detail": socket.detail if socket else None,
            "budgets": [
                {key: value for key, value in asdict(one).items() if key not in ("source", "attended_until")}
                | {"attended": one.attended(now)}
                for one in overview.budgets
                if one.source == name
            ],
        }
        for name, socket in _sockets(overview).items()
    ]


def _sockets(overview: Overview) -> dict[str, Connection | None]:
    """By source, also those that have no socket."""
    known: dict[str, Connection | None] = {one.source: None for one in overview.budgets}
    known |= {one.source: one for one in overview.connections}
    return dict(sorted(known.items()))


def _print(overview: Overview, now: datetime) -> None:
    rows = [stream.row(one, overview.connection_of(one), now) for one in overview.stances]
    show.table("Streams", stream.COLUMNS, rows, none="No stream yet: 'bridge run' or 'bridge worker' makes them.")
    show.table("Sources", SOURCES, _source_rows(overview, now), none="No source was ever attended to.")
    show.table("Destinations", DESTINATIONS, _destination_rows(overview, now), none="Nothing was delivered yet.")


def _source_rows(overview: Overview, now: datetime) -> list[list[object]]:
    rows: list[list[object]] = []
    for name, socket in _sockets(overview).items():
        left = "; ".join(_left(one, now) for one in overview.budgets if one.source == name and one.attended(now))
        if socket is None:
            rows.append([name, None, None, left or None, None])
            continue
        state = show.state(socket.state_at(now), fine="connected")
        rows.append([name, state, show.ago(socket.changed_at, now), left or None, socket.detail])
    return rows


def _left(budget: UpstreamBudget, now: datetime) -> str:
    paused = f", paused for {show.seconds(budget.paused_s(now))}" if budget.paused_s(now) else ""
    return f"{budget.name} {floor(budget.tokens)} of {budget.burst:g}, {budget.per_s:g}/s{paused}"


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
