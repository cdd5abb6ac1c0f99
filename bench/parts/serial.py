"""One post after the other with a common client: what strict order costs anybody."""

import aiohttp
import msgspec
from yarl import URL

from bench.parts.edge import CLOCK, say


class Options(msgspec.Struct, frozen=True):
    """``requests`` posts of ``size`` bytes to ``port``."""

    port: int
    requests: int
    size: int = 900


async def run(options: Options) -> None:
    """Say how many posts a second were answered."""
    body = b"x" * options.size
    target = URL(f"http://127.0.0.1:{options.port}/")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        began = CLOCK.monotonic()
        for _ in range(options.requests):
            async with session.post(target, data=body) as response:
                await response.read()
        say(per_s=options.requests / (CLOCK.monotonic() - began))
