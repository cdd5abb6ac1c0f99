"""The simulated venues break lines, whichever event loop serves them."""

import asyncio
from contextlib import suppress

import httpx
import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from bridge.clock import SystemClock
from bridge.sim.bybit import KIT
from bridge.sim.market import SimConfig, Stage

PATIENCE_S = 10


async def is_cut() -> bool:
    """Whether an order to cut ends a connection without a close frame."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stage = Stage(SimConfig(kit=KIT, events_per_s=0), clock=SystemClock())
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stage.run(ready=ready.set_result))
        here = f"127.0.0.1:{await ready}"
        async with connect(f"ws://{here}/v5/public/linear", proxy=None) as line, httpx.AsyncClient() as http:
            await http.post(f"http://{here}/_sim/cut")
            cut = False
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    try:
                        await line.recv()
                    except ConnectionClosedError as closed:
                        cut = closed.rcvd is None
        serving.cancel()
    return cut


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_line_that_is_to_be_cut_is_cut(new_loop: type) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(is_cut())
