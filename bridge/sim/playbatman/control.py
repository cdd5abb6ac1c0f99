"""The control plane: ask the venue for the truth and break it on purpose. For loopback callers only."""

import hashlib

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bridge.clock import Clock
from bridge.sim.near import count_of, near, rate_of, seconds_of
from bridge.sim.playbatman.engine import Engine
from bridge.sim.playbatman.replay import Replay
from bridge.sim.playbatman.row import Row
from bridge.sim.playbatman.socket import Sockets
from bridge.sim.playbatman.venue import Venue
from bridge.sim.playbatman.webhooks import Sender

TRUTH_PAGE_MAX = 10_000
DRAIN_S = 60.0
DRAIN_LOOK_S = 0.01


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
        return [Route(f"/control/{name}", near(answer), methods=[way]) for way, name, answer in ways]

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
        return {"sequences": [row.sequence for row in self._engine.emit(await count_of(request))]}

    async def _cut_sockets(self, request: Request) -> dict[str, object]:
        return {"cut": self._sockets.cut()}

    async def _silence_sockets(self, request: Request) -> dict[str, object]:
        self._venue.go_silent(self._clock.now(), await seconds_of(request))
        self._sockets.listen(self._clock.now())
        return {"silent": True}

    async def _down(self, request: Request) -> dict[str, object]:
        self._venue.go_down(self._clock.now(), await seconds_of(request))
        return {"down": True}

    async def _reset_counter(self, request: Request) -> dict[str, object]:
        self._venue.reset_counter()
        return {"epoch": self._venue.epoch}

    async def _rate(self, request: Request) -> dict[str, object]:
        self._engine.events_per_s = await rate_of(request)
        return {"events_per_s": self._engine.events_per_s}

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
