"""``bridge status``: streams, sockets and destinations at a glance."""

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.clock import SystemClock
from bridge.store.overview import Cursor, Overview, lag_of, look
from bridge.store.streams import Stream

STREAMS = ("stream", "epoch", "frontier", "head", "lag", "position", "gaps", "oldest", "deadline", "settle", "unmatched", "state")  # fmt: skip  # noqa: E501 - one row, as it is shown
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
    def status(as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
        """Streams, sockets and destinations. Exit code 1 if one of them waits for a person."""
        overview = with_database(edge.settings(), look)
        now = SystemClock().now()
        if as_json:
            show.as_json(members(overview, now))
        else:
            _print(overview, now)
        if waits_for_a_person(overview, now):
            raise typer.Exit(PROBLEM)


def waits_for_a_person(overview: Overview, now: datetime) -> bool:
    """Whether something will not mend itself: a numbering in doubt, a stopped destination, a refused key."""
    return (
        any(stream.suspect_at is not None for stream in overview.streams)
        or any(destination.state == "stopped" for destination in overview.destinations)
        or any(connection.state_at(now) == "misconfigured" for connection in overview.connections)
    )


def members(overview: Overview, now: datetime) -> dict[str, object]:
    """Everything, for a program."""
    return {
        "at": now,
        "streams": [_stream_members(stream, overview) for stream in overview.streams],
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


def _stream_members(stream: Stream, overview: Overview) -> dict[str, object]:
    gaps = overview.gaps.get(stream.id)
    heard = {transport: {"events": one.events, "first": one.first, "last_at": one.last_at}
             for (stream_id, transport), one in overview.heard.items() if stream_id == stream.id}  # fmt: skip
    return {
        "stream": stream.name,
        "source": stream.source,
        "epoch": stream.epoch,
        "base": stream.base,
        "frontier": stream.frontier,
        "head": stream.head,
        "lag": lag_of(stream),
        "position": stream.position,
        "chain": stream.chain.hex(),
        "gaps_open": 0 if gaps is None else gaps.spans,
        "oldest_gap_at": None if gaps is None else gaps.oldest_at,
        "nearest_deadline_at": None if gaps is None else gaps.deadline_at,
        "settle_s": stream.settle_s,
        "unmatched": stream.unmatched,
        "stalled_at": stream.stalled_at,
        "suspect_at": stream.suspect_at,
        "heard": heard,
    }


def _print(overview: Overview, now: datetime) -> None:
    streams = [_stream_row(stream, overview, now) for stream in overview.streams]
    show.table("Streams", STREAMS, streams, none="No stream yet: 'bridge run' or 'bridge worker' makes them.")
    sockets = [
        (one.source, _state(one.state_at(now), fine="connected"), show.ago(one.changed_at, now), one.detail)
        for one in overview.connections
    ]
    show.table("Sources", SOURCES, sockets, none="No socket was ever listened to.")
    show.table("Destinations", DESTINATIONS, _destination_rows(overview, now), none="Nothing was delivered yet.")


def _stream_row(stream: Stream, overview: Overview, now: datetime) -> list[object]:
    gaps = overview.gaps.get(stream.id)
    oldest, deadline = (
        ("-", "-") if gaps is None else (show.ago(gaps.oldest_at, now), show.until(gaps.deadline_at, now))
    )
    if stream.suspect_at is not None:
        state = f"suspect for {show.ago(stream.suspect_at, now)}"
    else:
        state = "waiting for the venue" if stream.frontier is None else "fine"
    return [
        stream.name, stream.epoch, stream.frontier, stream.head, lag_of(stream), stream.position,
        0 if gaps is None else gaps.spans, oldest, deadline, show.seconds(stream.settle_s), stream.unmatched,
        _state(state, fine="fine"),
    ]  # fmt: skip


def _destination_rows(overview: Overview, now: datetime) -> list[list[object]]:
    rows: list[list[object]] = []
    for one in overview.destinations:
        state = _state(one.state if one.reason is None else f"{one.state}: {one.reason}", fine="active")
        cursors = [cursor for cursor in overview.cursors if cursor.destination == one.name]
        rows += [_cursor_row(cursor, state, now) for cursor in cursors]
        if not cursors:
            rows.append([one.name, "-", "-", "-", "-", "-", "-", state, "-"])
    return rows


def _cursor_row(cursor: Cursor, state: Text, now: datetime) -> list[object]:
    waits = show.until(cursor.due_at, now) if cursor.failures and cursor.due_at > now else "-"
    return [
        cursor.destination, cursor.stream, cursor.position, cursor.behind, show.ago(cursor.oldest_at, now),
        cursor.failures, waits, state, cursor.last_error,
    ]  # fmt: skip


def _state(state: str, *, fine: str) -> Text:
    return Text(show.plain(state), style="green" if state == fine else "bold red")
