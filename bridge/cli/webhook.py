"""``bridge webhook register``: have the venue deliver to us. The venue tells its secret this once, and so do we."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from bridge.cli import show
from bridge.cli.edge import Edge
from bridge.cli.venue import opened
from bridge.clock import SystemClock
from bridge.config import Settings, load_settings
from bridge.config.playbatman import PlayBatman
from bridge.core.errors import ConfigError
from bridge.sources.playbatman.replay import Registered
from bridge.web.hooks import PREFIX
from bridge.wiring.markets import delivered

UNSET_SECRET = re.compile(
    r"sources\.[a-z0-9_-]+\.webhook\.secret(\[\d+\])?: refers to \$\{(?P<name>\w+)\}, which is not set.*"
)


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="The venue's webhooks.", no_args_is_help=True)
    app.add_typer(group, name="webhook")

    @group.callback()
    def _group() -> None:
        """The venue's webhooks."""

    @group.command("register")
    def register_(
        source: Annotated[str, typer.Option(help="The source's name in the configuration.")],
        url: Annotated[str, typer.Option(help="Where the venue reaches this bridge: https://.../in/SOURCE.")],
        event: Annotated[list[str] | None, typer.Option(help="Only this type of event; may be given often.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Register this bridge's receiver at the venue, and print the secret, this once."""
        settings = settings_before_the_secret(edge)
        configured = settings.numbered.get(source)
        if configured is None:
            raise ConfigError(_unregistrable(settings, source))
        _check(url, source)
        registered = asyncio.run(_register(configured, url, event or ()))
        if as_json:
            show.as_json({"id": registered.id, "secret": registered.secret})
        else:
            typer.echo(f"registered as {show.plain(registered.id)}", err=True)
            typer.echo("keep the secret now, the venue does not tell it again:", err=True)
            typer.echo(registered.secret)


def settings_before_the_secret(edge: Edge) -> Settings:
    """The settings; the secrets of webhooks may still be missing, because they are what is to be found out."""
    try:
        return edge.settings()
    except ConfigError as error:
        unset = [UNSET_SECRET.fullmatch(problem) for problem in error.problems]
        if not all(unset):
            raise
        # A stand-in that fits every form of a key; nothing here verifies with it.
        given = {found["name"]: "00" for found in unset if found is not None}
        return load_settings({**edge.environ, **given}, config_path=edge.config_path)


def _unregistrable(settings: Settings, source: str) -> str:
    followed = settings.followed.get(source)
    if followed is None:
        return f"--source: no source of that name is configured; known: {', '.join(settings.numbered)}"
    topics = [channel.topic for channel in delivered(followed)]
    if not topics:
        return f"--source: the venue of {source} delivers nothing"
    return f"--source: {source} needs no registration: its venue delivers to the {topics[0]} of what is created"


def _check(url: str, source: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("--url: must be a whole URL that begins with https:// or http://")
    if parts.path != PREFIX + source:
        typer.echo(
            f"the receiver of {source} is at {PREFIX}{source}; does something before it rewrite paths?", err=True
        )


async def _register(configured: PlayBatman, url: str, events: Sequence[str]) -> Registered:
    async with opened(configured, SystemClock()) as source:
        return await source.register_webhook(url, events)
