"""The control plane: ask the venue for the truth and break it on purpose. For loopback callers only."""

import hashlib
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.clock import Clock
from bridge.sim.playbatman.engine import Engine
from bridge.sim.playbatman.replay import Replay
from bridge.sim.playbatman.row import Row
from bridge.sim.playbatman.socket import Sockets
from bridge.sim.playbatman.venue import Venue
from bridge.sim.playbatman.webhooks import Sender

TRUTH_PAGE_MAX = 10_000
EMIT_MAX = 100_000
DRAIN_S = 60.0
DRAIN_LOOK_S = 0.01
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


class Seconds(msgspec.Struct, frozen=True):
    seconds: float


class Count(msgspec.Struct, frozen=True):
    count: int = 1


class Rate(msgspec.Struct, frozen=True):
    events_per_s: float


class Control:
    """The routes under ``/control``."""

    def __init__(
        self, venue: Venue, *, clock: Clock, engine: Engine, sockets: Sockets, sender: Sender, replay: Replay
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._engine = engine
        self._sockets = sockets
        self._sender = sender
        self._replay = replay

    def routes(self) -> list[Route]:
        asked = {"truth": self._truth, "state": self._state}
        told = {
            "faults": self._faults,
            "emit": self._emit,
            "cut-sockets": self._cut_sockets,
            "silence-sockets": self._silence_sockets,
            "down": self._down,
            "reset-counter": self._reset_counter,
            "rate": self._rate,
            "stop-emitting": self._stop_emitting,
            "drain": self._drain,
        }
        ways = [("GET", name, answer) for name, answer in asked.items()]
        ways += [("POST", name, answer) for name, answer in told.items()]
        return [Route(f"/control/{name}", _near(answer), methods=[way]) for way, name, answer in ways]

    async def _truth(self, request: Request) -> dict[str, object]:
        after = int(request.query_params.get("after", "0"))
        limit = min(int(request.query_params.get("limit", TRUTH_PAGE_MAX)), TRUTH_PAGE_MAX)
        rows = self._venue.assigned_after(after, limit)
        conflicted = self._venue.conflicted
        told = [self._told(row, conflict=row.key in conflicted) for row in rows]
        more = after + len(rows) < self._venue.assigned_count
        return {"rows": told, "next": after + len(rows) if more else None}

    def _told(self, row: Row, *, conflict: bool) -> dict[str, object]:
        return {
            "epoch": row.epoch,
            "sequence": row.sequence,
            "id": row.event_id,
            "type": row.event_type,
            "market_id": row.market_id,
            "sha256": hashlib.sha256(row.payload).hexdigest(),
            "created_at_ms": row.created_at.timestamp() * 1000,
            "first_sent_at_s": self._sender.first_sent_at_s(row.key),
            "conflict": conflict,
        }

    async def _state(self, request: Request) -> dict[str, object]:
        now = self._clock.now()
        head = self._venue.head
        return {
            "now": now.timestamp(),
            "epoch": self._venue.epoch,
            "counter": self._venue.counter,
            "head": head.sequence if head else None,
            "assigned": self._venue.assigned_count,
            "events_per_s": self._engine.events_per_s,
            "pending_deliveries": self._venue.pending_deliveries,
            "deliveries": self._venue.delivery_counts,
            "webhooks": len(self._venue.webhooks),
            "replay_requests": self._replay.requests,
            "sockets": len(self._sockets),
            "sockets_accepted": self._sockets.accepted,
            "frames_pushed": self._sockets.pushed,
            "down": self._venue.is_down(now),
            "silent": self._venue.is_silent(now),
            "faults": self._venue.faults,
        }

    async def _faults(self, request: Request) -> dict[str, object]:
        changes = msgspec.json.decode(await request.body(), type=dict[str, object])
        self._venue.faults = self._venue.faults.patched(changes)
        return {"faults": self._venue.faults}

    async def _emit(self, request: Request) -> dict[str, object]:
        count = msgspec.json.decode(await request.body() or b"{}", type=Count).count
        if not 0 <= count <= EMIT_MAX:
            raise ValueError(f"count must be from 0 to {EMIT_MAX}")
        return {"sequences": [row.sequence for row in self._engine.emit(count)]}

    async def _cut_sockets(self, request: Request) -> dict[str, object]:
        return {"cut": self._sockets.cut()}

    async def _silence_sockets(self, request: Request) -> dict[str, object]:
        self._venue.go_silent(self._clock.now(), await _seconds(request))
        self._sockets.listen(self._clock.now())
        return {"silent": True}

    async def _down(self, request: Request) -> dict[str, object]:
        self._venue.go_down(self._clock.now(), await _seconds(request))
        return {"down": True}

    async def _reset_counter(self, request: Request) -> dict[str, object]:
        self._venue.reset_counter()
        return {"epoch": self._venue.epoch}

    async def _rate(self, request: Request) -> dict[str, object]:
        rate = msgspec.json.decode(await request.body(), type=Rate).events_per_s
        if not 0 <= rate <= EMIT_MAX:
            raise ValueError(f"events_per_s must be from 0 to {EMIT_MAX}")
        self._engine.events_per_s = rate
        return {"events_per_s": rate}

    async def _stop_emitting(self, request: Request) -> dict[str, object]:
        self._engine.events_per_s = 0.0
        return {"assigned": self._venue.assigned_count}

    async def _drain(self, request: Request) -> dict[str, object]:
        """Answer once every row is committed and no delivery is planned or under way."""
        until_s = self._clock.monotonic() + float(request.query_params.get("timeout_s", DRAIN_S))
        while self._pending() and self._clock.monotonic() < until_s:
            await self._clock.sleep(DRAIN_LOOK_S)
        return {"drained": not self._pending(), "pending_deliveries": self._venue.pending_deliveries}

    def _pending(self) -> bool:
        return self._venue.pending_deliveries > 0 or self._venue.uncommitted(self._clock.now()) > 0


Answering = Callable[[Request], Awaitable[dict[str, object]]]


def _near(answer: Answering) -> Callable[[Request], Awaitable[Response]]:
    """JSON in and out; 404 for callers that are not on loopback, 400 for what cannot be read."""

    async def respond(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return Response(status_code=404)
        try:
            told, status = await answer(request), 200
        except ValueError as wrong:  # msgspec's own errors are ValueErrors too
            told, status = {"error": str(wrong)}, 400
        return Response(msgspec.json.encode(told), status, media_type="application/json")

    return respond


async def _seconds(request: Request) -> float:
    seconds = msgspec.json.decode(await request.body(), type=Seconds).seconds
    if not 0 <= seconds <= 86_400:
        raise ValueError("seconds must be from 0 to 86400")
    return seconds
