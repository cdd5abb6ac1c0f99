"""What a worker does for a source whose venue numbers its events: listen, and reconcile while its lease is ours."""

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.clock import Clock
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.ingest import Door
from bridge.listen import Connection, Streams, listen
from bridge.reconcile import Reconciler
from bridge.sources.playbatman.source import PlayBatman
from bridge.store import connections, follows
from bridge.store.engine import store_errors
from bridge.worker import SourceWork, Sweep

log = structlog.get_logger()

HEARD_BY = {"connected": "subscribed", "misconfigured": "refused"}
"""What a stream is heard by, in the state of its connection; every other state is on its way to one."""


def reading(
    source: PlayBatman,
    configured: NumberedSource,
    engine: AsyncEngine,
    door: Door,
    clock: Clock,
    *,
    gap_sweep_every_s: float,
) -> SourceWork:
    """The source's work: its socket, its holes, and the sweeps at their cadence."""
    limits = parts.replay_limits(configured)
    numbered = source.numbered.stream_of(source.name)
    told = None if source.told is None else source.told.stream_of(source.name)
    reconciler = Reconciler(
        engine,
        door,
        clock,
        source.replay,
        stream=numbered,
        source=source.name,
        limits=limits,
        dice=parts.DICE,
    )

    async def report(connection: Connection) -> None:
        log.info("socket.changed", source=source.name, state=connection.state, detail=connection.detail)
        stream_id = None if told is None else await door.open(told)
        with store_errors():
            async with engine.begin() as opened:
                await connections.put(
                    opened, source=source.name, state=connection.state, detail=connection.detail, now=clock.now()
                )
                if stream_id is not None:
                    state = HEARD_BY.get(connection.state, "connecting")
                    await follows.set_states(opened, [(stream_id, state, connection.detail)])

    async def live() -> None:
        if told is not None:
            streams = Streams(told=told, numbered=numbered)
            await listen(source, door, clock, report, streams=streams, limits=parts.listen_limits(configured))

    sweeps = (
        Sweep("gap", gap_sweep_every_s),
        Sweep("tail", limits.every_s),
        Sweep("audit", limits.audit_every_s),
    )
    return SourceWork(source.name, live, reconciler.tick, sweeps, source.budgets)
