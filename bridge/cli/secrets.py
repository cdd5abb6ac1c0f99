"""``bridge secrets``: the key that what is secret is kept with."""

from typing import Annotated

import typer

from bridge.cli import show
from bridge.cli.edge import Edge
from bridge.cli.operating import acted
from bridge.operate.acting import Acting
from bridge.operate.sealing import Resealed, reseal
from bridge.store.vault import new_key

Json = Annotated[bool, typer.Option("--json", help="One line of JSON.")]


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="The key that secrets are kept with.", no_args_is_help=True)
    app.add_typer(group, name="secrets")

    @group.command("new-key")
    def make(as_json: Json = False) -> None:
        """A new key for BRIDGE_SECRET_KEY. It is kept nowhere: put it where your secrets are."""
        key = new_key()
        if as_json:
            show.as_json({"key": key})
        else:
            typer.echo(key)

    @group.command()
    def rotate(as_json: Json = False) -> None:
        """Seal everything with the first key of BRIDGE_SECRET_KEY; the others may be taken out of it then."""

        async def seal(act: Acting) -> Resealed:
            return await reseal(act)

        done = acted(edge, seal)
        if as_json:
            show.as_json(done)
        else:
            typer.echo(f"sealed with the newest key: destinations {done.destinations}, answers {done.answers}")
