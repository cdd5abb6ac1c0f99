"""The downstream that checks everything, and may take its time."""

import msgspec
from starlette.types import Receive, Scope, Send

from bench.parts.edge import CLOCK, serve_app
from bridge.sim.consumer import Consumer, ConsumerConfig


class Options(msgspec.Struct, frozen=True):
    """``delay_s`` passes before a delivery is looked at."""

    key: bytes
    delay_s: float = 0.0


async def run(options: Options) -> None:
    """Run until the input is closed."""
    consumer = Consumer(ConsumerConfig(secrets=(options.key,), port=0), clock=CLOCK)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if options.delay_s and not scope["path"].startswith("/control/"):
            await CLOCK.sleep(options.delay_s)
        await consumer(scope, receive, send)

    await serve_app(answer)
