"""One process of the bridge: web, worker, or both, from its settings until it is told to stop."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from enum import Flag, auto
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge import worker
from bridge.app import parts
from bridge.app.chores import Means, chores
from bridge.app.directory import Directory, provision
from bridge.app.following import following
from bridge.app.reading import reading
from bridge.app.server import Server, server_of
from bridge.app.tracing import Traces, open_traces
from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.core.event import Kind
from bridge.deliver.deliverer import Deliverer
from bridge.egress import HttpEgress
from bridge.ingest import Committed
from bridge.ingest.followed import Appended, Chapter
from bridge.metrics import Metrics
from bridge.sources.market import MarketSource
from bridge.sources.playbatman.source import PlayBatman
from bridge.store import cursors, leases
from bridge.store.engine import make_engine, require_head, store_errors
from bridge.store.hints import Notifier, listen_for_hints
from bridge.web.app import web_app
from bridge.web.direct import Intake, connections_of
from bridge.web.hooks import Hooks
from bridge.web.pulse import Pulse
from bridge.wiring.markets import follow_limits

log = structlog.get_logger()


class Role(Flag):
    """What a process does."""

    WEB = auto()
    WORKER = auto()
    ALL = WEB | WORKER


async def serve(
    settings: Settings,
    url: str,
    role: Role,
    clock: Clock,
    *,
    ready: Callable[[int], None] = lambda port: None,
    until: Callable[[], Awaitable[None]] | None = None,
    alone: bool = False,
) -> None:
    """Run until SIGTERM or SIGINT (or until ``until`` returns), then drain.

    ``ready`` is told the bound port, 0 for a process without web. ``alone`` says that no other process can be
    working on this database: what a predecessor held when it was killed is then free at once.

    Raises:
        NotAtHead: the database's tables are not those of this version.
        Conflict: the file names a destination that the API has made.
        StoreUnavailable: the database cannot be reached at start.
    """
    engine = make_engine(url, pool_max=settings.limits.pool_max)
    try:
        await require_head(engine)
        await provision(settings, engine, clock)
        if alone:
            await _take_over(engine, clock)
        async with AsyncExitStack() as stack:
            process = await _Process.assembled(settings, engine, role, clock, stack)
            await process.run(ready, until or _signalled)
    finally:
        await engine.dispose()
    log.info("bridge.stopped")


async def _take_over(engine: AsyncEngine, clock: Clock) -> None:
    with store_errors():
        async with engine.begin() as connection:
            await leases.take_over(connection, now=clock.now())
            await cursors.take_over(connection, now=clock.now())


async def _signalled() -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await stopping.wait()


class _Process:
    """The parts of this process, wired to each other."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        role: Role,
        clock: Clock,
        sources: dict[str, PlayBatman],
        markets: dict[str, MarketSource],
        egress: HttpEgress,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._role = role
        self._clock = clock
        self._sources = sources
        self._markets = markets
        self._egress = egress
        self._traces = traces
        self.metrics = Metrics()
        self._delivered = asyncio.Event()
        self._pulse = Pulse()
        self._notifier = None if role is Role.ALL else Notifier(engine, clock)
        self._deliverer = Deliverer(
            engine,
            egress,
            clock,
            policies=parts.policies(settings),
            jitter=parts.DICE.random,
            limits=parts.delivery_limits(settings),
            observe=self.metrics,
            posting=traces.posting,
        )
        self._directory = Directory(settings, engine, clock, self._deliverer.adopt)
        self.door = traces.door(
            engine,
            clock,
            parts.stream_specs(settings),
            events_waiting_max=settings.limits.events_waiting_max,
            batch_events_max=settings.limits.batch_events_max,
            on_commit=self._committed,
        )

    @classmethod
    async def assembled(
        cls, settings: Settings, engine: AsyncEngine, role: Role, clock: Clock, stack: AsyncExitStack
    ) -> "_Process":
        sources = parts.open_sources(settings, clock)
        markets = parts.open_markets(settings, clock) if Role.WORKER in role else {}
        for close in (*(source.close for source in sources.values()), *(market.close for market in markets.values())):
            stack.push_async_callback(close)
        egress = await stack.enter_async_context(HttpEgress(clock))
        traces = open_traces(settings, clock, str(role.name).lower())
        process = cls(settings, engine, role, clock, sources, markets, egress, traces)
        await stack.enter_async_context(process.door)
        for name in parts.stream_specs(settings):
            await process.door.open(name)
        return process

    async def run(self, ready: Callable[[int], None], until: Callable[[], Awaitable[None]]) -> None:
        server = self._server() if Role.WEB in self._role else None
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(self._work())] if Role.WORKER in self._role else []
            counting = partial(self.metrics.counting.keep_telling, self._engine, self._clock)
            working.append(group.create_task(worker.keep_running(self._clock, "counters", counting)))
            if self._notifier is not None:
                working.append(group.create_task(self._notifier.run()))
            if self._role is Role.WEB:
                working.append(group.create_task(listen_for_hints(self._engine, self._clock, self._pulse.tell)))
            serving = None
            if server is not None:
                serving = group.create_task(server.serve())
                ready(await server.bound(serving))
            else:
                ready(0)
            log.info("bridge.started", role=str(self._role.name).lower(), sources=list(self._settings.sources))
            await until()
            await self._drain(server, serving)
            for task in working:
                task.cancel()
        await self.metrics.counting.tell_the_last(self._engine)

    async def _drain(self, server: Server | None, serving: asyncio.Task[None] | None) -> None:
        """Answer what was begun and finish the posts under way, for as long as the settings allow."""
        log.info("bridge.stopping", drain_s=self._settings.limits.drain_s)
        until = self._clock.monotonic() + self._settings.limits.drain_s
        self._deliverer.stop()
        self._pulse.end()
        try:
            async with asyncio.timeout(self._settings.limits.drain_s):
                if server is not None and serving is not None:
                    server.should_exit = True
                    await asyncio.shield(serving)
                if Role.WORKER in self._role:
                    await self._delivered.wait()
        except TimeoutError:
            log.warning("bridge.undrained", drain_s=self._settings.limits.drain_s)
            if server is not None:
                server.force_exit = True
            self.door.abandon()
        await self._traces.close(until - self._clock.monotonic())

    def _server(self) -> Server:
        settings = self._settings
        hooks = Hooks(
            parts.receivers(settings, self._sources),
            self.door,
            self._clock,
            observe=self.metrics.observe,
            note=self._traces.note,
        )
        app = web_app(
            engine=self._engine,
            hooks=hooks,
            settings=settings,
            clock=self._clock,
            metrics=self.metrics,
            egress=self._egress,
            pulse=self._pulse,
        )
        return server_of(app, connections_of(Intake(hooks, self.door, self._clock)), settings)

    async def _work(self) -> None:
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "deliver": self._deliver,
            "destinations": self._directory.run,
        }
        if self._role is not Role.ALL:
            loops["hints"] = lambda: listen_for_hints(self._engine, self._clock, self._deliverer.wake)
        work = [self._source_work(name) for name in self._sources]
        work += [self._follow_work(name, market) for name, market in self._markets.items()]
        noticed, posting = self.metrics.noticed, self._traces.posting
        means = Means(self._engine, self._egress, self._clock, lambda: self._directory.told, noticed, posting)
        await worker.work(self._engine, self._clock, work, loops, chores(self._settings, means))

    async def _deliver(self) -> None:
        await self._deliverer.run()
        self._delivered.set()

    def _source_work(self, name: str) -> worker.SourceWork:
        configured, source = self._settings.numbered[name], self._sources[name]
        every_s = self._settings.limits.gap_sweep_every_s
        return reading(source, configured, self._engine, self.door, self._clock, gap_sweep_every_s=every_s)

    def _follow_work(self, name: str, market: MarketSource) -> worker.SourceWork:
        limits = follow_limits(self._settings.followed[name])

        def appended(done: Appended, chapter: Chapter) -> None:
            remarks = Counter(saying.kind.value for saying in chapter.sayings if saying.kind is not Kind.EVENT)
            self._grew(done.stream.name, len(chapter.sayings), remarks)
            self._traces.followed(done, chapter)

        return following(market, self._engine, self._clock, limits, appended)

    def _committed(self, committed: Committed) -> None:
        self._grew(committed.stream.name, committed.appended, committed.remarks)
        self._traces.committed(committed)

    def _grew(self, stream: str, appended: int, remarks: Mapping[str, int]) -> None:
        """A stream's log may have grown: who delivers it is told."""
        if remarks:
            self.metrics.remarked(stream, remarks)
            log.warning("log.remarked", stream=stream, **remarks)
        if appended:
            self._deliverer.wake(stream)
            self._pulse.tell(stream)
            if self._notifier is not None:
                self._notifier.tell(stream)
