"""``bridge destinations create`` and all that changes one: the same acts as those of the API."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.cli.operating import acted, in_transaction, utc
from bridge.clock import SystemClock
from bridge.core.errors import ConfigError
from bridge.egress import HttpEgress
from bridge.operate import destinations, rewinding, telling, testing
from bridge.operate.acting import Acting
from bridge.operate.destinations import Shown
from bridge.operate.rewinding import Moved, Target
from bridge.operate.telling import Told
from bridge.operate.testing import Tested

LISTS = ("streams", "types", "keys")

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Name = Annotated[str, typer.Argument(help="The destination's name.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE of the policy, as in the file: batch_max=10, streams=pb.*,other.events."),
]
Secret = Annotated[
    str | None, typer.Option(help="The variable that holds the whsec_ secret; without it one is made and shown.")
]


def register(group: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``group``."""
    _making(group, edge)
    _holding(group, edge)
    _moving(group, edge)


def _making(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def create(
        name: Name,
        url: Annotated[str, typer.Option(help="Where it is; https only.")],
        secret: Secret = None,
        fields: Set = None,
        as_json: Json = False,
    ) -> None:
        """Make a destination. The secret that is made for it is shown now and never again."""
        given = {"name": name, "url": url, **_fields(fields)}
        if secret is not None:
            given["secret"] = _variable(edge, secret)
        _say_shown(*acted(edge, _told(lambda act: destinations.create(act, given))), as_json=as_json)

    @group.command()
    def update(
        name: Name,
        url: Annotated[str | None, typer.Option(help="Where it is; https only.")] = None,
        fields: Set = None,
        as_json: Json = False,
    ) -> None:
        """Change some fields of a destination that the API or this command made."""
        given = _fields(fields) | ({} if url is None else {"url": url})

        async def change(act: Acting) -> Told:
            await destinations.update(act, name, given)
            return await telling.one(act, name)

        _say(acted(edge, change), f"{name} is changed", as_json=as_json)

    @group.command()
    def rotate(
        name: Name,
        secret: Secret = None,
        overlap_s: Annotated[float, typer.Option(help="For so long the former secret signs too.")] = (
            destinations.OVERLAP_S
        ),
        as_json: Json = False,
    ) -> None:
        """Sign with a new secret, and for a while with the former one too."""
        own = None if secret is None else _variable(edge, secret)
        shown = acted(edge, _told(lambda act: destinations.rotate(act, name, secret=own, overlap_s=overlap_s)))
        _say_shown(*shown, as_json=as_json)


def _holding(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def pause(
        name: Name,
        reason: Annotated[str | None, typer.Option(help="Why, for who looks at it.")] = None,
        as_json: Json = False,
    ) -> None:
        """Deliver nothing more until somebody resumes; the log keeps everything."""

        async def hold(act: Acting) -> Told:
            await destinations.pause(act, name, reason=reason)
            return await telling.one(act, name)

        _say(acted(edge, hold), f"{name} is paused", as_json=as_json)

    @group.command()
    def resume(name: Name, as_json: Json = False) -> None:
        """Deliver again to a destination that was stopped or paused, from where it stopped."""

        async def start_again(act: Acting) -> Told:
            await destinations.resume(act, name)
            return await telling.one(act, name)

        told = acted(edge, start_again)
        _say(told, f"{name} is delivered to again, from where it stopped", as_json=as_json)

    @group.command()
    def delete(
        name: Name,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
        as_json: Json = False,
    ) -> None:
        """Forget a destination, how far it was, and what it parked."""
        if not yes:
            typer.confirm(f"How far {name} was, what was tried and what is parked is forgotten. Go on?", abort=True)
        acted(edge, lambda act: destinations.delete(act, name))
        _say({"deleted": name}, f"{name} is deleted", as_json=as_json)


def _moving(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def rewind(
        name: Name,
        stream: Annotated[str | None, typer.Option(help="Only on this stream.")] = None,
        position: Annotated[int | None, typer.Option(help="The position that is delivered next.")] = None,
        sequence: Annotated[int | None, typer.Option(help="The venue's number that is delivered next.")] = None,
        epoch: Annotated[
            int | None, typer.Option(help="With --sequence: of which epoch, else the present one.")
        ] = None,
        time: Annotated[
            datetime | None, typer.Option(help="What came then (UTC) or later is delivered next.")
        ] = None,
        beginning: Annotated[bool, typer.Option("--beginning", help="The oldest that is kept.")] = False,
        as_json: Json = False,
    ) -> None:
        """Deliver again from somewhere, or pass over some."""
        target = Target(position=position, sequence=sequence, epoch=epoch, time=utc(time), beginning=beginning)
        moved: list[Moved] = acted(edge, lambda act: rewinding.rewind(act, name, target, stream=stream))
        text = "\n".join(f"{one.stream}: from {one.was} to {one.position} of {one.head}" for one in moved)
        _say({"moved": moved}, text, as_json=as_json)

    @group.command()
    def test(name: Name, as_json: Json = False) -> None:
        """Send a signed bridge.test at once. Exit code 1 if it is not accepted."""
        settings, clock = edge.settings(), SystemClock()

        async def send(engine: AsyncEngine) -> Tested:
            destination = await in_transaction(engine, settings, lambda act: testing.aim(act, name))
            async with HttpEgress(clock) as egress:
                return await testing.send(destination, egress, now=clock.now())

        tested = with_database(settings, send)
        said = f"{tested.outcome} after {tested.latency_ms:.0f} ms"
        status = "" if tested.status is None else f", status {tested.status}"
        _say(tested, f"{said}{status}: {show.plain(tested.said)}", as_json=as_json)
        if tested.outcome != "accepted":
            raise typer.Exit(PROBLEM)


def _told(act: Callable[[Acting], Awaitable[Shown]]) -> Callable[[Acting], Awaitable[tuple[Shown, Told]]]:
    async def done(acting: Acting) -> tuple[Shown, Told]:
        shown = await act(acting)
        return shown, await telling.one(acting, shown.name)

    return done


def _say_shown(shown: Shown, told: Told, *, as_json: bool) -> None:
    if shown.secret is None:
        _say(told, f"{shown.name} signs with the secret that was given", as_json=as_json)
    else:
        _say({**told, "secret": shown.secret}, shown.secret, as_json=as_json)


def _say(told: object, text: str, *, as_json: bool) -> None:
    if as_json:
        show.as_json(told)
    else:
        typer.echo(text)


def _fields(given: Sequence[str] | None) -> dict[str, Any]:
    """The fields of ``--set``: values are JSON, or text."""
    fields: dict[str, Any] = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        if not equals:
            raise typer.BadParameter("--set wants FIELD=VALUE")
        fields[name] = value.split(",") if name in LISTS else _value(value)
    return fields


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _variable(edge: Edge, name: str) -> str:
    secret = edge.environ.get(name, "")
    if not secret.strip():
        raise ConfigError(f"--secret: the variable {show.plain(name)} is not set")
    return secret.strip()
