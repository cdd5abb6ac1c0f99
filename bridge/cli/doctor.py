"""``bridge doctor``: what is wrong, all of it at once, and what to do."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.cli import checks, show
from bridge.cli.checks import Check
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, USAGE, Edge
from bridge.clock import Clock, SystemClock
from bridge.config import Settings
from bridge.core.errors import BridgeError, ConfigError

COLUMNS = ("", "what", "is", "to do")
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def doctor(as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
        """Check everything at once. Exit code 1 if something fails, 2 if it is the configuration."""
        found, code = examine(edge.settings, SystemClock())
        if as_json:
            show.as_json({"checks": found})
        else:
            rows = [(Text(one.level, style=STYLES[one.level]), one.subject, one.what, one.todo) for one in found]
            show.table("Doctor", COLUMNS, rows, none="")
        if code:
            raise typer.Exit(code)


def examine(load: Callable[[], Settings], clock: Clock) -> tuple[list[Check], int]:
    """Every check in order, and the exit code. A configuration with problems is all that can be looked at."""
    try:
        settings = load()
    except ConfigError as error:
        return [_config(problem) for problem in error.problems], USAGE
    names = f"{len(settings.sources)} sources, {len(settings.destinations)} destinations"
    found = [Check("ok", "configuration", names), *checks.of_access(settings)]
    found += _database(settings, clock)
    found += asyncio.run(_others(settings, clock))
    return found, PROBLEM if any(check.level == "fail" for check in found) else 0


def _config(problem: str) -> Check:
    key, _, what = problem.partition(": ")
    return Check("fail", key, what, "correct it in the configuration or the environment")


def _database(settings: Settings, clock: Clock) -> list[Check]:
    async def look(engine: AsyncEngine) -> list[Check]:
        return await checks.of_database(engine, clock)

    try:
        return with_database(settings, look, at_head=False)
    except BridgeError as error:
        named = "check DATABASE_URL, and whether the server is up"
        unnamed = "'bridge run' brings its own database; web and worker need DATABASE_URL"
        return [Check("fail", "database", str(error), unnamed if settings.database_url is None else named)]


async def _others(settings: Settings, clock: Clock) -> list[Check]:
    """The venues and destinations, side by side."""
    streams = await parts.stream_names(settings, clock)
    found = await asyncio.gather(
        *(checks.of_source(source, clock) for source in settings.sources.values()),
        *(checks.of_destination(destination, streams) for destination in settings.destinations.values()),
    )
    return [check for several in found for check in several]
