"""The smallest dialect there can be: one channel of trades, one of a book, our fills; plain JSON, one list each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
from websockets.asyncio.client import connect

from bridge.clock import SystemClock
from bridge.sim.market import (
    Answer,
    Asked,
    Assigned,
    Close,
    Cut,
    Handshake,
    Kit,
    Push,
    Refuse,
    Said,
    Say,
    Scene,
    Session,
    Shape,
    SimConfig,
    Trouble,
    Way,
    serve,
)
from bridge.sim.market.facts import BookChange, Fact, Fill, Instrument, Trade

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
PATIENCE_S = 10
SHAPE = Shape(instruments=(Instrument(symbol="SOL_USDT", base="SOL", quote="USDT"),))
STATUS = {Trouble.THROTTLED: 429, Trouble.BANNED: 403, Trouble.BROKEN: 500, Trouble.DOWN: 503}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def content_id(trade: Trade) -> str:
    return f"{trade.at.timestamp():.3f}:{trade.price.normalize()}:{trade.quantity.normalize()}:{trade.side}"


@dataclass
class PlainSession:
    """Subscribes by ``{"sub": topic}``, is cut after ``silence_s`` without a word, closed by ``{"bye": code}``."""

    scene: Scene
    silence_s: float
    subscribed: set[str] = field(default_factory=set)
    heard_at: datetime | None = None

    def opened(self, now: datetime) -> Sequence[Said]:
        self.heard_at = now
        return [Say(b'{"type":"welcome"}')]

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        self.heard_at = now
        match msgspec.json.decode(text):
            case {"sub": str() as topic}:
                self.subscribed.add(topic)
                said: list[Said] = [Say(msgspec.json.encode({"ack": topic}))]
                if topic.startswith("book."):
                    book = self.scene.market.book(topic.removeprefix("book."))
                    frame = msgspec.json.encode({"topic": topic, "snapshot": book.number})
                    said.append(Say(frame, topic, (Assigned(f"snapshot:{book.number}", now),)))
                return said
            case {"ping": when}:
                return [Say(msgspec.json.encode({"pong": when}))]
            case {"bye": int() as code}:
                return [Close(code, "bye")]
        return [Say(b'{"type":"error"}')]

    def due(self, now: datetime) -> Sequence[Said]:
        silent = self.heard_at is not None and (now - self.heard_at).total_seconds() >= self.silence_s
        return [Cut()] if silent else []

    def pushed(self, push: Push) -> Sequence[bytes]:
        return [push.frame] if push.topic in self.subscribed else []


class Plain:
    """The venue."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        if unknown := set(scene.options) - {"silence_s"}:
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        self._silence_s = float(str(scene.options.get("silence_s", 60)))

    def ways(self) -> Sequence[Way]:
        return [Way("GET", "/fills", self._fills), Way("GET", "/token", self._token, spared=True)]

    def sockets(self) -> Sequence[str]:
        return ["/ws/{kind}"]

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        if handshake.expired or handshake.query.get("token") != "good":
            return Refuse(401, b"no")
        return PlainSession(self.scene, self._silence_s)

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        return [push for fact in facts for push in self._told(fact)]

    def trouble(self, trouble: Trouble) -> Answer:
        return Answer(msgspec.json.encode({"trouble": trouble.name}), STATUS[trouble], {"Retry-After": "1"})

    def _told(self, fact: Fact) -> list[Push]:
        match fact:
            case Trade():
                topic, item = f"trade.{fact.symbol}", Assigned(content_id(fact), fact.at)
            case Fill():
                topic, item = "fill", Assigned(fact.token, fact.at)
            case BookChange():
                topic = f"book.{fact.symbol}"
                item = Assigned(f"{fact.symbol}:{fact.number}", fact.at, fact.previous, fact.number)
            case _:
                return []
        frame = msgspec.json.encode({"topic": topic, "id": item.event_id, "at": item.at})
        return [Push(topic, topic, frame, (item,))]

    def _fills(self, asked: Asked) -> Answer:
        limit = asked.limit(int(asked.params["limit"]))
        after = int(asked.params.get("cursor", "0"))
        rows = self.scene.market.history.between(Fill, None, asked.as_of)[after : after + limit]
        cursor = after if asked.looping else after + len(rows)
        return Answer(msgspec.json.encode({"rows": [row.token for row in rows], "cursor": cursor if rows else None}))

    def _token(self, asked: Asked) -> Answer:
        return Answer(msgspec.json.encode({"token": "good", "endpoint": f"ws://{asked.host}/ws/main"}))


KIT = Kit("plain", SHAPE, Plain)


@dataclass(slots=True)
class Running:
    """A venue that answers on ``port``."""

    port: int
    http: httpx.AsyncClient

    async def order(self, name: str, **body: object) -> dict[str, object]:
        answer = await self.http.post(f"/_sim/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=dict[str, object])

    async def truth(self, series: str, *, limit: int = 50) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        after: int | None = 0
        while after is not None:
            asked: dict[str, str | int] = {"series": series, "after": after, "limit": limit}
            page = (await self.http.get("/_sim/truth", params=asked)).json()
            rows += page["rows"]
            after = page["next"]
        return rows

    def socket(self, token: str = "good") -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/ws/main?token={token}", proxy=None, max_queue=None)


@asynccontextmanager
async def running(**changes: object) -> AsyncIterator[Running]:
    config = replace(SimConfig(kit=KIT, events_per_s=0), **changes)  # type: ignore[arg-type]  # tests give what fits
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as parts:
        venue = parts.create_task(serve(config, clock=SystemClock(), ready=ready.set_result))
        async with asyncio.timeout(PATIENCE_S):
            port = await ready
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            yield Running(port, http)
        venue.cancel()
