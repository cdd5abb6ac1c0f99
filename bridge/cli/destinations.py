"""``bridge destinations``: who takes the log, how each stands, and what was tried."""

from datetime import datetime
from typing import Annotated, Any

import typer

from bridge.cli import destinations_changing, parked, show
from bridge.cli.edge import Edge
from bridge.cli.operating import acted, utc
from bridge.clock import SystemClock
from bridge.core.event import SEQUENCE_MAX
from bridge.operate import telling
from bridge.operate.acting import Acting
from bridge.operate.telling import Told
from bridge.store import attempts as store
from bridge.store.attempts import Chosen

COLUMNS = ("destination", "by", "configured", "state", "reason", "since", "behind", "failures", "parked")
STREAMS = ("stream", "position", "head", "behind", "failures", "failing since", "next try", "error")
ATTEMPTS = ("id", "stream", "first", "last", "outcome", "status", "ms", "ended", "error")
LIMIT_MAX = 1_000

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Name = Annotated[str, typer.Argument(help="The destination's name.")]


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Who takes the log.", no_args_is_help=True)
    app.add_typer(group, name="destinations")
    _listing(group, edge)
    _attempts(group, edge)
    destinations_changing.register(group, edge)
    parked.register(group, edge)


def _listing(group: typer.Typer, edge: Edge) -> None:
    @group.command("list")
    def listing(as_json: Json = False) -> None:
        """Every destination that is configured, made, or was delivered to before."""

        async def read(act: Acting) -> list[Told]:
            known = await telling.many(act)
            names = {one["name"] for one in known}
            new = [_new(name) for name in act.file if name not in names]
            return sorted([*known, *new], key=lambda one: str(one["name"]))

        found = acted(edge, read)
        if as_json:
            show.as_json({"destinations": [_flat(one) for one in found]})
            return
        now = SystemClock().now()
        rows = [
            (
                one["name"], one["origin"], "yes" if one["configured"] else "no", one["state"], one["reason"],
                show.ago(one["changed_at"], now), one["behind"], one["failures"], one["health"]["parked"],
            )
            for one in map(_flat, found)
        ]  # fmt: skip
        show.table("Destinations", COLUMNS, rows, none="None is configured.")

    @group.command("show")
    def show_one(name: Name, as_json: Json = False) -> None:
        """One destination: its policy, its state, and how it stands on each stream."""
        told = acted(edge, lambda act: _whole(act, name))
        if as_json:
            show.as_json(told)
            return
        now = SystemClock().now()
        for field in ("name", "origin", "state", "reason", "version", "url"):
            typer.echo(f"{field}: {show.plain(told[field])}")
        for field, value in told["policy"].items():
            typer.echo(f"{field}: {show.plain(value)}")
        show.table("Streams", STREAMS, [_stream(one, now) for one in told["streams"]], none="It takes no stream yet.")


def _attempts(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def attempts(
        name: Name,
        stream: Annotated[str | None, typer.Option(help="Only of this stream.")] = None,
        position: Annotated[
            int | None, typer.Option(min=1, max=SEQUENCE_MAX, help="Only about this position.")
        ] = None,
        outcome: Annotated[str | None, typer.Option(help="accepted, refused or unknown.")] = None,
        since: Annotated[datetime | None, typer.Option(help="Ended then or later (UTC).")] = None,
        until: Annotated[datetime | None, typer.Option(help="Begun before then (UTC).")] = None,
        before: Annotated[
            int | None, typer.Option(min=1, max=SEQUENCE_MAX, help="Only older than the one with this id.")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
        as_json: Json = False,
    ) -> None:
        """The newest attempts first: one line for each that failed, one for each run of accepted ones."""
        chosen = Chosen(
            stream=stream, position=position, outcome=outcome, since=utc(since), until=utc(until),
            before=before,
        )  # fmt: skip

        async def read(act: Acting) -> list[store.Told]:
            found = await act.known(name)
            return await store.listing(act.conn, found.id, chosen, limit=limit)

        found = acted(edge, read)
        if as_json:
            show.as_json({"attempts": found})
            return
        now = SystemClock().now()
        rows = [
            (
                one.id, one.stream, one.first, one.last, one.outcome, one.status, round(one.latency_max_ms),
                show.ago(one.ended_at, now), one.error,
            )
            for one in found
        ]  # fmt: skip
        show.table("Attempts", ATTEMPTS, rows, none="There was none.")


async def _whole(act: Acting, name: str) -> Told:
    """One destination with all of its streams, read page by page."""
    page = told = await telling.one(act, name)
    while page["streams"]:
        page = await telling.one(act, name, after=page["next"])
        told["streams"] += page["streams"]
    del told["next"]
    return told


def _flat(told: Told) -> dict[str, Any]:
    """With what is asked for most beside the name."""
    return {**told, "behind": told["health"]["behind"], "failures": told["health"]["failures"]}


def _new(name: str) -> Told:
    """One of the file that no bridge has started with yet."""
    health = {"behind": 0, "failures": 0, "parked": 0}
    members = {"origin": "file", "configured": True, "state": "new", "reason": None, "changed_at": None}
    return {"name": name, **members, "health": health}


def _stream(one: Told, now: datetime) -> list[object]:
    return [
        one["stream"], one["position"], one["head"], one["behind"], one["failures"],
        show.ago(one["failing_since"], now),
        show.until(one["next_try_at"], now) if one["failures"] else "-", one["last_error"],
    ]  # fmt: skip
