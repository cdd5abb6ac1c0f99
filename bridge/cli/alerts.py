"""``bridge alerts``: what needs a person, who was told, and who wants to hear nothing of it for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alert import trial
from bridge.alert.channel import Accepted, Sent
from bridge.alert.deciding import is_silenced
from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.cli.operating import acted, in_transaction
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.egress import HttpEgress
from bridge.operate import silencing
from bridge.operate.acting import Acting
from bridge.operate.silencing import HOURS_MAX
from bridge.store import alerts as store
from bridge.store import notices, silences
from bridge.store.alerts import Alert
from bridge.store.notices import Told
from bridge.store.silences import Silence
from bridge.wiring.alerts import channels_of

COLUMNS = ("rule", "subject", "severity", "since", "count", "state", "told", "says")
SILENCES = ("id", "rule", "subject", "ends", "by", "reason")
CHANNELS = ("channel", "outcome", "reason")
LIMIT_MAX = 10_000

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Row = tuple[Alert, Sequence[Told]]


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="What needs a person.", no_args_is_help=True)
    app.add_typer(group, name="alerts")
    _looking(group, edge)
    _silencing(group, edge)
    _testing(group, edge)


def _looking(group: typer.Typer, edge: Edge) -> None:
    @group.command("list")
    def listing(
        everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 100,
        as_json: Json = False,
    ) -> None:
        """What holds now, the worst first."""

        async def read(act: Acting) -> tuple[list[Row], list[Silence]]:
            found = await store.listing(act.conn, resolved=everything, limit=limit)
            told = await notices.of_alerts(act.conn, [one.id for one in found])
            holding = await silences.holding(act.conn, now=act.now)
            return [(one, told.get(one.id, ())) for one in found], holding

        rows, holding = acted(edge, read)
        if as_json:
            show.as_json({"alerts": [_members(one, told, holding) for one, told in rows]})
            return
        now = SystemClock().now()
        show.table("Alerts", COLUMNS, [_row(one, told, holding, now) for one, told in rows], none="There is none.")


def _members(alert: Alert, told: Sequence[Told], holding: Sequence[Silence]) -> dict[str, object]:
    names = (
        "id",
        "rule",
        "subject",
        "severity",
        "sentence",
        "figures",
        "count",
        "first_at",
        "last_at",
        "resolved_at",
    )
    return {
        **{name: getattr(alert, name) for name in names},
        "silenced": is_silenced(alert.key, holding),
        "notices": [one._asdict() for one in told],
    }


def _row(alert: Alert, told: Sequence[Told], holding: Sequence[Silence], now: datetime) -> tuple[object, ...]:
    state = "over" if alert.resolved_at else "silenced" if is_silenced(alert.key, holding) else "firing"
    channels = ", ".join(f"{one.channel}{'' if one.told_at else ' (not yet)'}" for one in told)
    return (
        alert.rule, alert.subject, alert.severity, show.ago(alert.first_at, now), alert.count or None, state,
        channels or None, alert.sentence,
    )  # fmt: skip


def _silencing(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def silence(
        reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
        hours: Annotated[float, typer.Option(help=f"For so long, at most {HOURS_MAX:g}.")],
        rule: Annotated[str | None, typer.Option(help="A rule, or a glob of rules.")] = None,
        subject: Annotated[str | None, typer.Option(help="A stream, source or destination, or a glob.")] = None,
        as_json: Json = False,
    ) -> None:
        """Tell nobody of some alerts for a while. They are found and listed all the same."""
        if rule is None and subject is None:
            raise typer.BadParameter("name a rule, a subject or both; '*' is all of them")

        async def make(act: Acting) -> int:
            return await silencing.silence(act, rule=rule or "*", subject=subject or "*", hours=hours, reason=reason)

        made = acted(edge, make)
        if as_json:
            show.as_json({"silence": made})
        else:
            typer.echo(f"silence {made} ends in {show.seconds(hours * 3600)}")

    @group.command()
    def unsilence(
        silence_id: Annotated[
            int, typer.Argument(metavar="ID", min=1, max=silences.ID_MAX, help="The silence's id.")
        ],
        as_json: Json = False,
    ) -> None:
        """End a silence before its time."""
        acted(edge, lambda act: silencing.unsilence(act, silence_id))
        if as_json:
            show.as_json({"unsilenced": silence_id})
        else:
            typer.echo(f"silence {silence_id} is over")

    @group.command("silences")
    def listing(as_json: Json = False) -> None:
        """Those that hold, the one that ends first before the others."""
        found = acted(edge, lambda act: silences.holding(act.conn, now=act.now))
        if as_json:
            show.as_json({"silences": found})
            return
        now = SystemClock().now()
        rows = [(one.id, one.rule, one.subject, show.until(one.until, now), one.made_by, one.reason) for one in found]
        show.table("Silences", SILENCES, rows, none="None holds.")


def _testing(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def test(
        channel: Annotated[str | None, typer.Option(help="Only this one.")] = None, as_json: Json = False
    ) -> None:
        """Send a test to every channel at once. Exit code 1 if one of them does not take it."""
        settings, clock = edge.settings(), SystemClock()

        async def send(engine: AsyncEngine) -> list[tuple[str, Sent]]:
            async with HttpEgress(clock) as egress:
                wanted = [one for one in channels_of(settings, egress) if channel in (None, one.name)]
                if not wanted:
                    raise BridgeError(f"no channel {show.plain(channel)} is configured")
                await in_transaction(engine, settings, lambda act: trial.note(act, wanted))
                return await trial.send(wanted, clock)

        sent = with_database(settings, send)
        _tell_test(sent, as_json=as_json)
        if any(not isinstance(outcome, Accepted) for _, outcome in sent):
            raise typer.Exit(PROBLEM)


def _tell_test(sent: Sequence[tuple[str, Sent]], *, as_json: bool) -> None:
    rows = [
        (name, "told", None) if isinstance(outcome, Accepted) else (name, "failed", outcome.reason)
        for name, outcome in sent
    ]
    if as_json:
        show.as_json({"channels": [dict(zip(CHANNELS, row, strict=True)) for row in rows]})
    else:
        show.table("Test", CHANNELS, rows, none="There is no channel.")
