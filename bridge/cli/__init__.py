"""The ``bridge`` command: what people type. Exit codes: 0 fine, 1 a problem was found, 2 usage or configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from bridge import __version__
from bridge.cli import (
    alerts,
    audit,
    compare,
    config,
    destinations,
    doctor,
    epoch,
    gaps,
    report,
    run,
    secrets,
    signature,
    status,
    tokens,
    verify,
    webhook,
)
from bridge.cli.edge import Edge, Program, environment

PROCESSES = frozenset({"run", "web", "worker", "sim", "consume"})
"""Commands whose output is their log. All others answer on standard output and log, if at all, beside it."""


class _Bridge(Program):
    """The program. What nobody runs in production is imported when it is asked for: it takes half a second."""

    late: ClassVar[Mapping[str, str]] = {
        "demo": "bridge.cli.demo",
        "sim": "bridge.cli.sim",
        "consume": "bridge.cli.sim",
    }


def make_app(environ: Mapping[str, str]) -> typer.Typer:
    """The program, over the given environment."""
    app = typer.Typer(
        cls=_Bridge,
        name="bridge",
        help="Every event of a venue, once, in order, proven gap-free.",
        no_args_is_help=True,
        add_completion=False,
        # Our faults are one line; of all others a plain traceback tells more, and shows no variables.
        pretty_exceptions_enable=False,
    )
    edge = Edge(environ)

    @app.callback()
    def before(
        context: typer.Context,
        config_path: Annotated[
            Path | None, typer.Option("--config", help="The configuration file, in place of BRIDGE_CONFIG.")
        ] = None,
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
        ] = False,
    ) -> None:
        edge.config_path = config_path
        edge.start_logging(answers=context.invoked_subcommand not in PROCESSES)

    run.register(app, edge.settings)
    parts = (status, gaps, report, verify, compare, doctor, config, destinations, epoch, signature, webhook)
    for part in (*parts, tokens, secrets, audit, alerts):
        part.register(app, edge)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """The console script."""
    make_app(environment())()
