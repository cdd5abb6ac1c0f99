"""``bridge tokens``: who may call the API, how much each may do, and until when."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from bridge.cli import show
from bridge.cli.edge import Edge
from bridge.cli.operating import acted
from bridge.clock import SystemClock
from bridge.core.errors import BridgeError
from bridge.operate.acting import Acting
from bridge.store import tokens as store
from bridge.store.tokens import TOKENS_MAX, Scope, Token, new_token
from bridge.web.access import RESERVED

NAME = re.compile(r"[a-z0-9_-]{1,64}")
COLUMNS = ("token", "scope", "state", "made", "expires", "used")
DAYS_MAX = 3_650

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Name = Annotated[str, typer.Argument(help="The token's name: it is what the audit calls its bearer.")]


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Who may call the API.", no_args_is_help=True)
    app.add_typer(group, name="tokens")
    _making(group, edge)
    _looking(group, edge)


def _making(group: typer.Typer, edge: Edge) -> None:
    @group.command()
    def create(
        name: Name,
        scope: Annotated[Scope, typer.Option(help="read; operate: also pause, rewind, test; admin: everything.")],
        expires_days: Annotated[
            float | None, typer.Option(min=0.001, max=DAYS_MAX, help="Good for so long; else until it is revoked.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Make a token. It is shown now and never again; from the first one on, nobody calls the API without."""
        if not NAME.fullmatch(name) or name in RESERVED:
            raise typer.BadParameter(f"a name is made of a-z, 0-9, _ and -, at most 64, and none of {RESERVED}")
        token = new_token()

        async def make(act: Acting) -> None:
            expires_at = None if expires_days is None else act.now + timedelta(days=expires_days)
            if not await store.create(
                act.conn, name=name, token=token, scope=scope, expires_at=expires_at, now=act.now
            ):
                raise BridgeError(f"there is a token {name} already, or there are {TOKENS_MAX} of them")
            await act.note("token.created", name, scope=scope.value, expires_at=expires_at)

        acted(edge, make)
        if as_json:
            show.as_json({"name": name, "scope": scope.value, "token": token})
        else:
            typer.echo(token)

    @group.command()
    def revoke(name: Name, as_json: Json = False) -> None:
        """Let the bearer in no more: within a few seconds, everywhere."""

        async def end(act: Acting) -> None:
            if not await store.revoke(act.conn, name, now=act.now):
                raise BridgeError(f"no token {show.plain(name)} is good: see 'bridge tokens list'")
            await act.note("token.revoked", name)

        acted(edge, end)
        if as_json:
            show.as_json({"revoked": name})
        else:
            typer.echo(f"{name} is revoked")


def _looking(group: typer.Typer, edge: Edge) -> None:
    @group.command("list")
    def listing(as_json: Json = False) -> None:
        """All tokens, also those that are over. None of them can be shown again."""
        found = acted(edge, lambda act: store.listing(act.conn))
        now = SystemClock().now()
        if as_json:
            show.as_json({"tokens": [_told(token) | {"good": token.is_good(now)} for token in found]})
            return
        rows = [
            (
                one.name, one.scope.value, _state(one), show.ago(one.created_at, now),
                show.until(one.expires_at, now), show.ago(one.used_at, now),
            )
            for one in found
        ]  # fmt: skip
        show.table("Tokens", COLUMNS, rows, none="There is none.")


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "good" if token.is_good(SystemClock().now()) else "expired"


def _told(token: Token) -> dict[str, object]:
    names = ("name", "scope", "created_at", "expires_at", "revoked_at", "used_at")
    return {name: getattr(token, name) for name in names}
