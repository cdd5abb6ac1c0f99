"""``bridge sim`` and ``bridge consume``: a venue that lies on purpose, and a consumer that checks."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli import sim_market
from bridge.cli.foreground import FaultSet, FaultsToBegin, Host, OneFault, Port, Seed, named_values, serve_until_told
from bridge.clock import SystemClock
from bridge.core.signing import decode_secret
from bridge.sim import consumer, playbatman

Secret = Annotated[
    str, typer.Option(envvar="PB_WEBHOOK_SECRET", show_default=False, help="What webhooks are signed by.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    sim = typer.Typer(no_args_is_help=True, help="Simulated venues, for trying things out.")
    sim.command("playbatman")(sim_playbatman)
    sim_market.register(sim)
    app.add_typer(sim, name="sim")
    app.command("consume")(consume)


def sim_playbatman(
    host: Host = "127.0.0.1",
    port: Port = 8084,
    seed: Seed = 1,
    faults: FaultsToBegin = FaultSet.NONE,
    fault: OneFault = None,
    events_per_s: Annotated[float, typer.Option(min=0, help="Events of ours per second.")] = 20.0,
    contiguous: Annotated[bool, typer.Option(help="Number our events without holes.")] = False,
    operators: Annotated[int, typer.Option(min=1, help="How many share the one counter; the first is us.")] = 3,
    market: Annotated[list[str] | None, typer.Option(help="A market's id; repeatable.")] = None,
    retention_s: Annotated[float, typer.Option(min=0, help="How long the replay remembers.")] = 86_400.0,
    history_count: Annotated[int, typer.Option(min=0, help="Events from before the start.")] = 0,
    history_age_s: Annotated[float, typer.Option(min=0, help="How far those reach back.")] = 3_600.0,
    webhook_url: Annotated[str, typer.Option(help="A receiver that is registered from the start.")] = "",
    webhook_secret: Secret = "",
    api_key: Annotated[str, typer.Option(envvar="PB_API_KEY", show_default=False)] = playbatman.API_KEY,
) -> None:
    """A PlayBatman on loopback: REST, socket, webhooks, and a control plane under /control."""
    try:
        config = playbatman.SimConfig(
            host=host,
            port=port,
            seed=seed,
            faults=_faults(faults, fault or []),
            events_per_s=events_per_s,
            api_key=api_key,
            operators=operators,
            markets=tuple(market or playbatman.MARKETS),
            contiguous=contiguous,
            retention_s=retention_s,
            history_count=history_count,
            history_age_s=history_age_s,
            webhook_url=webhook_url or None,
            webhook_secret=webhook_secret or None,
        )
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    serve_until_told(lambda ready: playbatman.serve(config, clock=SystemClock(), ready=ready))


def consume(
    secret: Annotated[
        str, typer.Option(envvar="LEDGER_SECRET", show_default=False, help="whsec_...; commas between.")
    ],
    host: Host = "127.0.0.1",
    port: Port = 9090,
    fail_rate: Annotated[float, typer.Option(min=0, max=1, help="The share of requests that go wrong.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same failures.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="A file to keep what is received; a restart goes on from it.")
    ] = None,
    behave: Annotated[consumer.Mode, typer.Option(help="How to answer until told otherwise.")] = consumer.Mode.OK,
) -> None:
    """A downstream that verifies signature, order and chain; POST /control/behave tells it to misbehave."""
    try:
        secrets = tuple(decode_secret(one) for one in secret.split(","))
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    config = consumer.ConsumerConfig(secrets=secrets, host=host, port=port, fail_rate=fail_rate, seed=seed, keep=keep)
    serve_until_told(
        lambda ready: consumer.serve(
            config,
            clock=SystemClock(),
            ready=ready,
            made=lambda made: made.behave(consumer.Behaviour(behave)),
        )
    )


def _faults(chosen: FaultSet, named: Sequence[str]) -> playbatman.Faults:
    faults = playbatman.Faults.heavy() if chosen is FaultSet.HEAVY else playbatman.Faults()
    return faults.patched(named_values(named, sorted(asdict(faults))))
