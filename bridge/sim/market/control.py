"""The control plane under ``/_sim/``: ask a market's venue for the truth and break it on purpose. Loopback only."""

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from bridge.clock import Clock
from bridge.sim.market.engine import Engine
from bridge.sim.market.front import SPARED, Front
from bridge.sim.market.ids import us_of
from bridge.sim.market.sockets import Sockets
from bridge.sim.market.truth import Row, Truth
from bridge.sim.market.weather import Weather
from bridge.sim.market.wire import Wire
from bridge.sim.near import count_of, near, rate_of, seconds_of

TRUTH_PAGE_MAX = 10_000
DRAIN_S = 60.0
DRAIN_LOOK_S = 0.01


class Closing(msgspec.Struct, frozen=True):
    code: int = 1001
    reason: str = ""


class Control:
    """The routes."""

    def __init__(
        self,
        *,
        engine: Engine,
        sockets: Sockets,
        front: Front,
        truth: Truth,
        wire: Wire,
        weather: Weather,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._sockets = sockets
        self._front = front
        self._truth = truth
        self._wire = wire
        self._weather = weather
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        asked = {"": self._state, "truth": self._told}
        told = {
            "faults": self._faults,
            "emit": self._emit,
            "cut": self._cut,
            "close": self._close,
            "silence": self._silence,
            "down": self._down,
            "rate": self._rate,
            "stop": self._stop,
            "drain": self._drain,
        }
        ways = [("GET", name, answer) for name, answer in asked.items()]
        ways += [("POST", name, answer) for name, answer in told.items()]
        return [Route(f"{SPARED}/{name}", near(answer), methods=[way]) for way, name, answer in ways]

    async def _state(self, request: Request) -> dict[str, object]:
        now = self._clock.now()
        return {
            "now": now.timestamp(),
            "venue_time": self._weather.venue_time(now).timestamp(),
            "events_per_s": self._engine.events_per_s,
            "series": self._truth.counts(),
            "forgotten": self._truth.forgotten,
            "sockets": len(self._sockets),
            "socket_counts": self._sockets.counts,
            "wire_counts": self._wire.counts,
            "rest_counts": self._front.counts,
            "pending_frames": self._pending(),
            "down": self._weather.is_down(now),
            "silent": self._weather.is_silent(now),
            "faults": self._weather.faults,
        }

    async def _told(self, request: Request) -> dict[str, object]:
        """Rows of ``series`` after the first ``after``, at most ``limit``; without a series, the counts of all.

        What is told beside what happened comes last: page through it once nothing happens any more.
        """
        series = request.query_params.get("series")
        if series is None:
            return {"series": self._truth.counts(), "forgotten": self._truth.forgotten}
        after = max(0, int(request.query_params.get("after", "0")))
        limit = max(1, min(int(request.query_params.get("limit", TRUTH_PAGE_MAX)), TRUTH_PAGE_MAX))
        rows = self._truth.rows(series, after, limit)
        more = len(rows) == limit
        return {"series": series, "rows": [shown(row) for row in rows], "next": after + limit if more else None}

    async def _faults(self, request: Request) -> dict[str, object]:
        changes = msgspec.json.decode(await request.body(), type=dict[str, object])
        self._weather.faults = self._weather.faults.patched(changes)
        return {"faults": self._weather.faults}

    async def _emit(self, request: Request) -> dict[str, object]:
        return {"moved": self._engine.emit(await count_of(request))}

    async def _cut(self, request: Request) -> dict[str, object]:
        return {"cut": self._sockets.cut()}

    async def _close(self, request: Request) -> dict[str, object]:
        wanted = msgspec.json.decode(await request.body() or b"{}", type=Closing)
        if not 1000 <= wanted.code <= 4999:
            raise ValueError("code must be from 1000 to 4999")
        return {"closed": self._sockets.close(wanted.code, wanted.reason)}

    async def _silence(self, request: Request) -> dict[str, object]:
        self._weather.go_silent(self._clock.now(), await seconds_of(request))
        self._sockets.attend(self._clock.now())
        return {"silent": self._weather.is_silent(self._clock.now())}

    async def _down(self, request: Request) -> dict[str, object]:
        self._weather.go_down(self._clock.now(), await seconds_of(request))
        return {"down": self._weather.is_down(self._clock.now())}

    async def _rate(self, request: Request) -> dict[str, object]:
        self._engine.events_per_s = await rate_of(request)
        return {"events_per_s": self._engine.events_per_s}

    async def _stop(self, request: Request) -> dict[str, object]:
        """Nothing happens any more; what is told beside that goes on."""
        self._engine.events_per_s = 0.0
        return {"series": self._truth.counts()}

    async def _drain(self, request: Request) -> dict[str, object]:
        """Answer once no frame is held back and none waits for a client."""
        until_s = self._clock.monotonic() + float(request.query_params.get("timeout_s", DRAIN_S))
        while self._pending() and self._clock.monotonic() < until_s:
            await self._clock.sleep(DRAIN_LOOK_S)
        return {"drained": not self._pending(), "pending_frames": self._pending()}

    def _pending(self) -> int:
        return self._wire.held + self._sockets.waiting


def shown(row: Row) -> dict[str, object]:
    """A row of the truth as JSON: ``at_ms`` may have decimals."""
    item = row.assigned
    told: dict[str, object] = {"id": item.event_id, "at_ms": us_of(item.at) / 1000}
    if item.number is not None:
        told |= {"previous": item.previous, "number": item.number, "parts": item.parts}
    return {**told, "optional": item.optional, "swallowed": row.swallowed}
