"""``bridge demo``: the main job on real parts, under faults."""

import asyncio
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live

from bridge.cli.edge import environment
from bridge.cli.foreground import FaultSet
from bridge.clock import SystemClock
from bridge.sim.demo import Ended, Look, PlainLines, Scenario, result_line, run
from bridge.sim.demo.scenario import VENUES
from bridge.sim.demo.screen import WIDTH_MAX, drawn
from bridge.sim.demo.summary import summarise

FAILED = 1
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("demo")(demo)


class Venue(StrEnum):
    """Which venue to simulate."""

    PLAYBATMAN = "playbatman"
    BYBIT = "bybit"
    CRYPTOMUS = "cryptomus"
    POLONIEX_V1 = "poloniex_v1"
    POLONIEX_V3 = "poloniex_v3"
    ALL = "all"


def demo(
    venue: Annotated[Venue, typer.Option(help="Who lies: one venue, or all at once.")] = Venue.PLAYBATMAN,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long events flow.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same venue.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="Events of ours per second, of each venue.")] = 40.0,
    faults: Annotated[FaultSet, typer.Option(help="What the venue does to us.")] = FaultSet.HEAVY,
    folder: Annotated[
        Path | None, typer.Option(help="Work here and leave everything there, in place of a temporary folder.")
    ] = None,
) -> None:
    """Venues that lie, the bridge, a consumer that fails.

    Exit code 0 only if nothing was lost on the way, or where a venue offers no repair, a gap names what is missing.
    """
    heavy = faults is FaultSet.HEAVY
    scenario = Scenario(
        venues=VENUES if venue is Venue.ALL else (venue.value,),
        seconds=seconds,
        seed=seed,
        events_per_s=rate,
        faults=faults.value,
        fail_rate=0.03 if heavy else 0.0,
    )
    screen = Console(stderr=as_json, highlight=False)
    if not screen.is_terminal:
        screen.width = WIDTH_MAX
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        watch = stack.enter_context(_watching(screen, live=screen.is_terminal and not as_json))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ended = runner.run(_interruptible(scenario, folder.resolve(), watch))
    if ended is None:
        screen.print("interrupted; everything that was started has ended")
        raise typer.Exit(INTERRUPTED)
    screen.print(summarise(ended))
    if as_json:
        typer.echo(result_line(ended))
    if not ended.good:
        raise typer.Exit(FAILED)


@contextmanager
def _watching(screen: Console, *, live: bool) -> Iterator[Callable[[Look], None]]:
    """Draw on the terminal, or say lines."""
    if not live:
        yield PlainLines(lambda line: screen.print(line, markup=False, soft_wrap=True)).show
        return
    clock = SystemClock()
    with Live(console=screen, refresh_per_second=8, transient=True) as drawing:
        yield lambda look: drawing.update(Constrain(drawn(look, clock.now(), height=screen.height), WIDTH_MAX))


async def _interruptible(scenario: Scenario, folder: Path, watch: Callable[[Look], None]) -> Ended | None:
    """The demo; None where SIGINT or SIGTERM ended it."""
    me = asyncio.current_task()
    assert me is not None

    def stop() -> None:
        if not me.cancelling():  # impatience must not leave parts behind
            me.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await run(scenario, folder=folder, environ=environment(), clock=SystemClock(), watch=watch)
    except asyncio.CancelledError:
        return None
