"""``bridge config check``: every problem of the configuration at once, without touching anything."""

from typing import Annotated

import typer

from bridge.cli import show
from bridge.cli.edge import USAGE, Edge
from bridge.core.errors import ConfigError


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    config = typer.Typer(help="The configuration.", no_args_is_help=True)
    app.add_typer(config, name="config")

    @config.command()
    def check(as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
        """Say every problem of the configuration, each with its key. Exit code 2 if there is one."""
        try:
            settings = edge.settings()
        except ConfigError as error:
            if not as_json:
                raise
            show.as_json({"problems": error.problems})
            raise typer.Exit(USAGE) from None
        sources, destinations = list(settings.sources), list(settings.destinations)
        if as_json:
            show.as_json({"problems": [], "sources": sources, "destinations": destinations})
        else:
            typer.echo(f"sources: {', '.join(sources) or 'none'}; destinations: {', '.join(destinations) or 'none'}")
