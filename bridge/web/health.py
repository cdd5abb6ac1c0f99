"""Alive, ready, and measured. Ready means able to store what it is sent, whatever the venue's state."""

import asyncio
from contextlib import suppress
from functools import partial

import msgspec
from anyio.to_thread import run_sync
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.metrics import CONTENT_TYPE, Metrics
from bridge.store.engine import require_head
from bridge.store.measured import Configured, look
from bridge.web.fresh import Fresh

READY_TIMEOUT_S = 3.0
READY_FRESH_S = 1.0
SCRAPE_TIMEOUT_S = 5.0
SCRAPE_FRESH_S = 1.0


class Health:
    """The routes that need no token: they tell how the bridge is, and nothing of what it holds."""

    def __init__(
        self, engine: AsyncEngine, clock: Clock, metrics: Metrics, *, configured: Configured, streams_max: int
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._metrics = metrics
        self._ready = Fresh(self._why_not_ready, clock, for_s=READY_FRESH_S)
        self._configured = configured
        self._streams_max = streams_max
        self._measured = Fresh(self._measure, clock, for_s=SCRAPE_FRESH_S)

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def healthz(self, _request: Request) -> Response:
        """The process is alive."""
        return _status(200, "ok")

    async def readyz(self, _request: Request) -> Response:
        """200 if what is sent can be stored, 503 with the reason if it cannot."""
        reason = await self._ready.get()
        return _status(200, "ready") if reason is None else _status(503, "not ready", reason)

    async def metrics(self, _request: Request) -> Response:
        """The series of this process, and those of the rows if the database can be asked."""
        return Response(await self._measured.get(), media_type=CONTENT_TYPE)

    async def _why_not_ready(self) -> str | None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await require_head(self._engine)
        except TimeoutError:
            return f"the database did not answer within {READY_TIMEOUT_S:g} s"
        except BridgeError as error:
            return str(error)
        except OSError as error:  # the server's name, before there is any database to speak of
            return f"the database cannot be reached: {type(error).__name__}"
        return None

    async def _measure(self) -> bytes:
        """One answer for all who ask within a second, made beside the loop that takes deliveries in."""
        measured, now = None, self._clock.now()
        with suppress(BridgeError, OSError, TimeoutError):
            async with asyncio.timeout(SCRAPE_TIMEOUT_S):
                await self._metrics.counting.tell(self._engine)
                measured = await look(
                    self._engine, now=now, configured=self._configured, streams_max=self._streams_max
                )
        return await run_sync(partial(self._metrics.render, measured, now=now))


def _status(status: int, word: str, reason: str | None = None) -> Response:
    told = {"status": word} if reason is None else {"status": word, "reason": reason}
    return Response(
        msgspec.json.encode(told), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )
