"""The venue's REST front as an ASGI app: keys, envelopes, the venue's own Date; no decision of its own."""

import hmac
from collections.abc import Awaitable, Callable
from email.utils import format_datetime

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.clock import Clock
from bridge.sim.connection import abort
from bridge.sim.playbatman.facts import EVENT_TYPES
from bridge.sim.playbatman.outbox import Webhook
from bridge.sim.playbatman.replay import LIMIT_DEFAULT, LIMIT_MAX, Answer, Query, Replay, failure, success
from bridge.sim.playbatman.row import stamp
from bridge.sim.playbatman.venue import Venue

API_KEY = "sim-key"
WEBHOOKS_MAX = 20

Answering = Callable[[Request], Awaitable[Answer]]


class Registration(msgspec.Struct, frozen=True):
    url: str
    events: list[str] = []
    description: str = ""


class RestFront:
    """The routes over one venue."""

    def __init__(self, venue: Venue, *, clock: Clock, api_key: str) -> None:
        self.venue = venue
        self.clock = clock
        self.replay = Replay(venue)
        self._api_key = api_key.encode()

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/events", self._keyed(self._events)),
            Route("/api/v1/webhooks", self._keyed(self._webhooks), methods=["GET", "POST"]),
            Route("/api/v1/webhooks/{webhook_id}", self._keyed(self._webhook), methods=["GET", "DELETE"]),
            Route("/health", self._open(self._alive)),
            Route("/ready", self._open(self._alive)),
        ]

    def knows(self, key: str | None) -> bool:
        return key is not None and hmac.compare_digest(key.encode(), self._api_key)

    def _keyed(self, answering: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Answer:
            if not self.knows(request.headers.get("X-Api-Key")):
                return Answer(401, failure("UNAUTHORIZED", "Invalid API key"))
            return self.replay.refusal(self.clock.now()) or await answering(request)

        return self._open(checked)

    def _open(self, answering: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            answer = await answering(request)
            if answer.delay_s:
                await self.clock.sleep(answer.delay_s)
            headers = {"Date": format_datetime(self.clock.now(), usegmt=True)}
            if answer.retry_after_s is not None:
                headers["Retry-After"] = str(answer.retry_after_s)
            return Response(answer.body, answer.status, headers, media_type="application/json")

        return respond

    async def _alive(self, request: Request) -> Answer:
        return Answer(200, b'{"status":"ok"}')

    async def _events(self, request: Request) -> Answer:
        try:
            query = parse_query(request, limit_refused=self.venue.faults.long_limit_refused)
        except ValueError as wrong:
            return _invalid(str(wrong))
        return self.replay.answer(query, self.clock.now())

    async def _webhooks(self, request: Request) -> Answer:
        if request.method != "POST":
            return Answer(200, success([_shown(webhook) for webhook in self.venue.webhooks]))
        try:
            asked = msgspec.json.decode(await request.body(), type=Registration)
        except (msgspec.ValidationError, msgspec.DecodeError) as wrong:
            return _invalid(str(wrong))
        if not asked.url.startswith(("http://", "https://")):
            return _invalid("url must be an http(s) address")
        if unknown := sorted(set(asked.events) - set(EVENT_TYPES)):
            return _invalid(f"unknown events: {', '.join(unknown)}")
        if len(self.venue.webhooks) >= WEBHOOKS_MAX:
            return _invalid("too many webhooks")
        webhook = self.venue.register(
            asked.url, now=self.clock.now(), events=asked.events, description=asked.description
        )
        return Answer(
            201, success({**_shown(webhook), "secret": webhook.secret, "operatorId": self.venue.operator_id})
        )

    async def _webhook(self, request: Request) -> Answer:
        wanted = request.path_params["webhook_id"]
        found = next((w for w in self.venue.webhooks if w.webhook_id == wanted), None)
        if found is None:
            return Answer(404, failure("NOT_FOUND", "No such webhook"))
        if request.method == "DELETE":
            self.venue.unregister(found.webhook_id)
        return Answer(200, success(_shown(found)))


def parse_query(request: Request, *, limit_refused: bool) -> Query:
    """The query of one replay call; a limit over 1000 is cut to 1000, or refused by ValueError."""
    asked = request.query_params
    since = _whole("since", asked.get("since"), least=0)
    limit = _whole("limit", asked.get("limit"), least=1)
    if limit is not None and limit > LIMIT_MAX and limit_refused:
        raise ValueError(f"limit must be at most {LIMIT_MAX}")
    return Query(since, min(limit or LIMIT_DEFAULT, LIMIT_MAX), asked.get("eventType"), asked.get("marketId"))


def _whole(name: str, text: str | None, *, least: int) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}")
    return int(text)


def _invalid(text: str) -> Answer:
    return Answer(400, failure("VALIDATION_ERROR", text))


def _shown(webhook: Webhook) -> dict[str, object]:
    """A webhook as everybody may see it: the secret is told once, when it is made."""
    at = stamp(webhook.created_at)
    shown: dict[str, object] = {"id": webhook.webhook_id, "url": webhook.url, "events": webhook.events}
    return {**shown, "description": webhook.description, "isActive": True, "createdAt": at, "updatedAt": at}


class Outage:
    """While the venue is down, requests meet a 503 or a dying connection; ``spared`` paths stay up."""

    def __init__(self, app: ASGIApp, *, venue: Venue, clock: Clock, spared: str = "/control") -> None:
        self._app = app
        self._venue = venue
        self._clock = clock
        self._spared = spared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] in ("http", "websocket") and not scope["path"].startswith(self._spared)
        if not asked or not self._venue.is_down(self._clock.now()):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket" or self._venue.faults.down_aborts:
            await abort(scope, receive)
        else:
            body = failure("SERVICE_UNAVAILABLE", "Down for a while")
            await Response(body, 503, media_type="application/json")(scope, receive, send)


def rest_app(venue: Venue, *, clock: Clock, api_key: str = API_KEY) -> ASGIApp:
    """REST alone over ``venue``, for ``httpx.ASGITransport``."""
    return Outage(Starlette(routes=RestFront(venue, clock=clock, api_key=api_key).routes()), venue=venue, clock=clock)
