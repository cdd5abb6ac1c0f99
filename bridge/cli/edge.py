"""The outermost edge: the environment comes in here, and here every fault that the bridge can name becomes a line
on standard error and an exit code."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group

from bridge import logs
from bridge.config import Settings, load_settings
from bridge.core.errors import BridgeError, ConfigError

PROBLEM = 1
USAGE = 2


def environment() -> Mapping[str, str]:
    """The environment of this process, as it is at every look."""
    return os.environ  # noqa: TID251 - the outermost edge hands the environment on


class Edge:
    """What a command knows of the outside. ``config_path`` is the file named on the command line."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.config_path: Path | None = None

    def settings(self) -> Settings:
        """The configuration. Raises ConfigError with every problem of it."""
        return load_settings(self.environ, config_path=self.config_path)

    def start_logging(self, *, answers: bool) -> None:
        """Log to standard output; a command that ``answers`` there logs to standard error, and only what is bad."""
        if answers:
            logs.configure("warning", stream=sys.stderr)
        else:
            logs.configure(self.environ.get(logs.KEY) or "info", stream=sys.stdout)


class Program(TyperGroup):
    """Commands, with the faults that the bridge can name told in words.

    ``late`` names commands and the modules that register them, imported only when they are asked for.
    """

    late: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # the library's own context type has no public name
        return [*super().list_commands(ctx), *self.late]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # nor has its command type
        if cmd_name not in self.late:
            return super().get_command(ctx, cmd_name)
        app = typer.Typer()
        app.callback()(lambda: None)  # a group, however few commands it has
        import_module(self.late[cmd_name]).register(app)
        return get_group(app).get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (BridgeError, BaseExceptionGroup) as error:
            faults = named(error)
            if not faults:
                raise
        for fault in faults:
            for line in str(fault).splitlines():
                typer.echo(line, err=True)
        raise typer.Exit(max(exit_code(fault) for fault in faults))


def named(error: BaseException) -> list[BridgeError]:
    """The faults that the bridge can name; none if anything else is among them."""
    if isinstance(error, BridgeError):
        return [error]
    if not isinstance(error, BaseExceptionGroup):
        return []
    found = [named(inner) for inner in error.exceptions]
    return [fault for faults in found for fault in faults] if all(found) else []


def exit_code(fault: BridgeError) -> int:
    return USAGE if isinstance(fault, ConfigError) else PROBLEM
