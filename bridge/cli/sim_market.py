"""``bridge sim VENUE`` for every dialect of the shared market: one command each, all with the same options."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from bridge.cli.foreground import FaultSet, FaultsToBegin, Host, OneFault, Port, Seed, named_values, serve_until_told
from bridge.clock import SystemClock
from bridge.sim import market
from bridge.sim.dialects import DIALECTS


def register(sim: typer.Typer) -> None:
    """Add a command for each dialect to ``sim``."""
    for kit in DIALECTS.values():
        summary = f"A {kit.venue} on loopback: REST, sockets, and a control plane under /_sim."
        sim.command(kit.venue, help=summary)(command_of(kit))


def command_of(kit: market.Kit) -> Callable[..., None]:
    """The command that serves ``kit`` until it is told to stop."""

    def command(
        host: Host = "127.0.0.1",
        port: Port = kit.port,
        seed: Seed = 1,
        faults: FaultsToBegin = FaultSet.NONE,
        fault: OneFault = None,
        events_per_s: Annotated[float, typer.Option(min=0, help="Happenings per second.")] = 20.0,
        symbol: Annotated[list[str] | None, typer.Option(help="What is traded; repeatable.")] = None,
        switch: Annotated[
            list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A switch of the venue; repeatable.")
        ] = None,
    ) -> None:
        try:
            begin = market.Faults.heavy() if faults is FaultSet.HEAVY else market.Faults()
            config = market.SimConfig(
                kit=kit,
                host=host,
                port=port,
                seed=seed,
                events_per_s=events_per_s,
                faults=begin.patched(named_values(fault or [], sorted(asdict(begin)))),
                shape=market.with_symbols(kit.shape, tuple(symbol or ())),
                options=named_values(switch or []),
            )
            stage = market.Stage(config, clock=SystemClock())
        except ValueError as wrong:
            raise typer.BadParameter(str(wrong)) from None
        serve_until_told(lambda ready: stage.run(ready=ready))

    return command
