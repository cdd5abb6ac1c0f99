"""``bridge run``, ``web``, ``worker`` and ``migrate``: the processes of a deploy."""

import asyncio
from collections.abc import Callable

import typer
import uvloop

from bridge.app import Role, serve, spare_collector
from bridge.clock import SystemClock
from bridge.config.settings import Settings
from bridge.core.errors import BridgeError
from bridge.store.embedded import EmbeddedPostgres
from bridge.store.engine import upgrade


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands to ``app``; ``settings`` loads the configuration when a command runs."""

    @app.command()
    def run() -> None:
        """Everything in one process: receiver, listeners, reconciler, delivery. Migrates by itself."""
        run_all(settings())

    @app.command()
    def web() -> None:
        """The receiver, the API and the page, on DATABASE_URL."""
        _serve(settings(), _external(settings()), Role.WEB)

    @app.command()
    def worker() -> None:
        """Listeners, reconciler and delivery, on DATABASE_URL. Any number of them."""
        _serve(settings(), _external(settings()), Role.WORKER)

    @app.command()
    def migrate() -> None:
        """Bring the database to the newest migration."""
        upgrade(_external(settings()))


def run_all(settings: Settings, *, ready: Callable[[int], None] = lambda port: None) -> None:
    """Run both roles, on an embedded Postgres where no database is named."""
    if settings.database_url is not None:
        upgrade(settings.database_url.get_secret_value())
        _serve(settings, settings.database_url.get_secret_value(), Role.ALL, ready)
        return
    with EmbeddedPostgres(settings.data, bin_dir=settings.pg_bin) as server:
        upgrade(server.url)
        _serve(settings, server.url, Role.ALL, ready, alone=True)


def _serve(
    settings: Settings,
    url: str,
    role: Role,
    ready: Callable[[int], None] = lambda port: None,
    *,
    alone: bool = False,
) -> None:
    def stands(port: int) -> None:
        spare_collector()
        ready(port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, url, role, SystemClock(), ready=stands, alone=alone))


def _external(settings: Settings) -> str:
    if settings.database_url is None:
        raise BridgeError("DATABASE_URL is not set: web and worker share one database; 'bridge run' brings its own")
    return settings.database_url.get_secret_value()
