"""``bridge verify``: the chain of a log, computed again from what is stored."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.core.errors import BridgeError
from bridge.store import digests, proofreading
from bridge.store.proofreading import Verdict


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def verify(
        stream: Annotated[str, typer.Argument(help="The stream, such as pb.events.")],
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Read the log of a stream from its oldest position: is each entry there, as it was, and where it was?"""

        async def read(engine: AsyncEngine) -> Verdict:
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                found = await digests.bounds(connection, stream)
                if found is None:
                    raise BridgeError(f"there is no stream {show.plain(stream)}: see 'bridge status'")
                return await proofreading.verify(connection, found)

        verdict = with_database(edge.settings(), read)
        if as_json:
            show.as_json({**verdict._asdict(), "chain": verdict.chain.hex()})
        elif verdict.wrong_at is None:
            typer.echo(f"{stream}: positions {verdict.first} to {verdict.last} follow, each from the one before")
            typer.echo(f"the chain value at {verdict.last} is {verdict.chain.hex()}")
        else:
            typer.echo(f"{stream}: position {verdict.wrong_at} is bad: {verdict.wrong}")
            typer.echo(f"the {verdict.checked} positions before it follow, each from the one before")
        if verdict.wrong_at is not None:
            raise typer.Exit(PROBLEM)
