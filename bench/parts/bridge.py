"""A bridge on the database it is given: the whole, as ``bridge run`` makes it, or ``web`` or ``worker`` alone."""

import asyncio
import cProfile
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.parts.edge import CLOCK, input_closed, say_port
from bridge import app, logs
from bridge.config import load_settings
from bridge.store.engine import upgrade


class Options(msgspec.Struct, frozen=True):
    """``role`` is all, web or worker; ``profile`` names a file for cProfile's counts."""

    config: str
    database_url: str
    port: int = 0
    role: str = "all"
    profile: str | None = None


async def run(options: Options) -> None:
    """Run until the input is closed."""
    logs.configure("info", stream=sys.stderr, pretty=False)
    environ = {"DATABASE_URL": options.database_url, "PORT": str(options.port)}
    settings = load_settings(environ, config_path=Path(options.config))
    await asyncio.to_thread(upgrade, options.database_url)  # it runs a loop of its own
    with ExitStack() as around:
        if options.profile:
            around.enter_context(_profiled(options.profile))
        await app.serve(
            settings, options.database_url, app.Role[options.role.upper()], CLOCK, ready=_stands, until=input_closed
        )


def _stands(port: int) -> None:
    app.spare_collector()
    say_port(port)


@contextmanager
def _profiled(file: str) -> Iterator[None]:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(file)
