"""A dialect's REST side on the network: each call meets the faults first, then the dialect's answer."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.clock import Clock
from bridge.sim.connection import abort
from bridge.sim.market.dialect import Answer, Asked, Dialect, Trouble, Way
from bridge.sim.market.faults import Faults
from bridge.sim.market.truth import Truth
from bridge.sim.market.weather import Weather

SPARED = "/_sim"
"""What stays up while the venue is down."""


class Front:
    """The routes of one dialect. Each call draws its faults from the same dice, in the order of the calls."""

    def __init__(self, dialect: Dialect, *, truth: Truth, weather: Weather, clock: Clock, seed: int) -> None:
        self._dialect = dialect
        self._truth = truth
        self._weather = weather
        self._clock = clock
        self._dice = Random(f"{seed}:rest")
        self.counts: Counter[str] = Counter(requests=0)

    def routes(self) -> list[BaseRoute]:
        return [Route(way.path, self._responding(way), methods=[way.method]) for way in self._dialect.ways()]

    def answer(self, way: Way, asked: Asked) -> tuple[Answer, float]:
        """What to answer, and after how many seconds."""
        faults = Faults() if way.spared else self._weather.faults
        self.counts["requests"] += 1
        slow_s = self._dice.uniform(0.0, faults.slow_s) if self._strikes("slow", faults.slow_rate) else 0.0
        trouble = self._trouble(faults)
        if trouble is not None:
            return self._dialect.trouble(trouble), slow_s
        lag_s = self._dice.uniform(0.0, faults.lag_max_s) if self._strikes("lag", faults.lag_rate) else 0.0
        shortened = self._dice.random() if self._strikes("short_page", faults.short_page_rate) else 1.0
        looping = self._strikes("cursor_loop", faults.cursor_loop_rate)
        asked = replace(asked, as_of=asked.now - timedelta(seconds=lag_s), shortened=shortened, looping=looping)
        try:
            answer = way.answer(asked)
        except ValueError as wrong:
            return Answer(str(wrong).encode(), 400), slow_s
        for series, item in answer.told:
            self._truth.tell(series, item)
        return answer, slow_s

    def _trouble(self, faults: Faults) -> Trouble | None:
        if self._strikes("throttle", faults.throttle_rate):
            return Trouble.THROTTLED
        if self._strikes("ban", faults.ban_rate):
            return Trouble.BANNED
        return Trouble.BROKEN if self._strikes("broken", faults.broken_rate) else None

    def _strikes(self, name: str, rate: float) -> bool:
        """Always draws, so that one fault's rate does not change when another strikes."""
        struck = self._dice.random() < rate
        self.counts[name] += struck
        return struck

    def _responding(self, way: Way) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            answer, slow_s = self.answer(way, asked_by(request, await request.body(), self._now()))
            if slow_s:
                await self._clock.sleep(slow_s)
            headers = {"Date": format_datetime(self._now(), usegmt=True), **answer.headers}
            return Response(answer.body, answer.status, headers, media_type="application/json")

        return respond

    def _now(self) -> datetime:
        return self._weather.venue_time(self._clock.now())


def asked_by(request: Request, body: bytes, now: datetime) -> Asked:
    """The call as a dialect sees it, before any fault."""
    return Asked(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=dict(request.headers),
        body=body,
        now=now,
        as_of=now,
        host=request.headers.get("host", ""),
        places=dict(request.path_params),
    )


class Outage:
    """While the venue is down, calls meet the dialect's refusal or a dying connection, and sockets die."""

    def __init__(self, app: ASGIApp, *, dialect: Dialect, weather: Weather, clock: Clock) -> None:
        self._app = app
        self._dialect = dialect
        self._weather = weather
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] in ("http", "websocket") and not scope["path"].startswith(SPARED)
        if not asked or not self._weather.is_down(self._clock.now()):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket" or self._weather.faults.down_aborts:
            await abort(scope, receive)
        else:
            answer = self._dialect.trouble(Trouble.DOWN)
            said = Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")
            await said(scope, receive, send)
