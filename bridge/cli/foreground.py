"""What commands that serve in the foreground have in common: options, and running until told to stop."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer
import uvloop


class FaultSet(StrEnum):
    """Which faults to begin with."""

    NONE = "none"
    HEAVY = "heavy"


Host = Annotated[str, typer.Option(help="Where to listen.")]
Port = Annotated[int, typer.Option(help="0 takes a free one.")]
Seed = Annotated[int, typer.Option(help="The same seed, the same venue.")]
FaultsToBegin = Annotated[FaultSet, typer.Option(help="The faults to begin with.")]
OneFault = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="One fault more; repeatable.")]


def named_values(given: Sequence[str], known: Sequence[str] = ()) -> dict[str, object]:
    """What ``NAME=VALUE`` options say; values are JSON, or else text. ``known`` names are told to who errs."""
    if unclear := [one for one in given if "=" not in one]:
        hint = f"; the names are {', '.join(sorted(known))}" if known else ""
        raise typer.BadParameter(f"{unclear[0]!r} is not NAME=VALUE{hint}")
    return {name.strip(): _value(text) for name, _, text in (one.partition("=") for one in given)}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def serve_until_told(serving: Callable[[Callable[[int], None]], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT. Where it listens is told in a line of its own: {"ready":{"port":N}}."""

    async def run() -> None:
        me = asyncio.current_task()
        assert me is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, me.cancel)
        with suppress(asyncio.CancelledError):
            await serving(lambda port: print(json.dumps({"ready": {"port": port}}), flush=True))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run())
        except* OSError as refused:
            typer.echo(f"cannot listen: {refused.exceptions[0]}", err=True)
            raise typer.Exit(1) from None
