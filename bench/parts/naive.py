"""What most receivers do: the same verified, parsed webhook, but every request commits a transaction of its own.

Everything in its favour: the bare driver, one statement, one round trip, as many connections as help it.
"""

from collections.abc import Sequence
from functools import partial

import asyncpg
import msgspec

from bench.parts.edge import CLOCK, serve_app
from bridge.clock import Clock
from bridge.core.event import Event, Transport
from bridge.core.signature import SignatureProfile, verify
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.web.hooks import Hooks, Receiver

_CREATE = """
CREATE TABLE IF NOT EXISTS naive_events (
    stream text, sequence bigint, event_id text, type text, key text, transport text, occurred_at timestamptz,
    received_at timestamptz, digest bytea, payload bytea, PRIMARY KEY (stream, sequence)
)
"""
_INSERT = """
INSERT INTO naive_events VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""


class Options(msgspec.Struct, frozen=True):
    """The receiver of source ``pb`` on the database at ``database_url``, with ``connections`` connections."""

    database_url: str
    secret: str
    connections: int = 32


class _Door:
    """One transaction a request."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def accept(self, stream: str, events: Sequence[Event], *, transport: Transport) -> None:
        now = self._clock.now()
        async with self._pool.acquire() as connection:
            for e in events:
                await connection.execute(
                    _INSERT, stream, e.sequence, e.event_id, e.type, e.key, transport.value, e.occurred_at, now,
                    e.digest, e.payload,
                )  # fmt: skip


class _Source:
    def __init__(self) -> None:
        self._reader = WebhookReader()

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
        return self._reader.event(body, delivery_id)


async def run(options: Options) -> None:
    """Run until the input is closed."""
    dsn = options.database_url.replace("+asyncpg", "")
    async with asyncpg.create_pool(dsn, min_size=options.connections, max_size=options.connections) as pool:
        await pool.execute(_CREATE)
        receivers = {
            "pb": Receiver(
                source=_Source(), stream="pb.events", genuine=partial(verify, SignatureProfile(), (options.secret,))
            )
        }
        await serve_app(Hooks(receivers, _Door(pool, CLOCK), CLOCK))
