"""The API as an operator meets it: served on a real socket, with delivery beside it that goes to no network."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app.directory import Directory, provision
from bridge.clock import ManualClock
from bridge.config import Settings
from bridge.config.shapes import Destination
from bridge.core.delivery import Answered, Outcome
from bridge.core.signing import decode_secret, verify
from bridge.deliver import Deliverer
from bridge.egress import Egress
from bridge.metrics import Metrics
from bridge.store.vault import new_key
from bridge.web.app import web_app
from bridge.web.hooks import Hooks
from tests.logs import START
from tests.web.serving import LIMITS, ClosedDoor

OK = Answered(204, None, "", 0.002)
PATIENCE_S = 50
FILE_SECRET = "whsec_" + "QUJD" * 8
URL = "https://ledger.example/hooks/in?token=t0ken"


@dataclass(frozen=True, slots=True)
class Sent:
    """One post."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    allow_private: bool

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed_with(self, *keys: str) -> bool:
        return all(
            verify(
                [decode_secret(key)],
                webhook_id=self.headers["webhook-id"],
                timestamp=self.headers["webhook-timestamp"],
                signatures=self.headers["webhook-signature"],
                body=self.body,
                now_s=float(self.headers["webhook-timestamp"]),
            )
            for key in keys
        )


@dataclass(slots=True)
class Post:
    """An egress that answers as ``answer`` says, and remembers. While ``gate`` is not set every post waits.

    With ``beyond``, posts go there instead.
    """

    answer: Outcome = OK
    beyond: Egress | None = None
    sent: list[Sent] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        if self.beyond is not None:
            return await self.beyond.post(url, headers, body, timeout_s=timeout_s, allow_private=allow_private)
        self.sent.append(Sent(url, headers, body, allow_private))
        self.arrived.set()
        await self.gate.wait()
        return self.answer

    def positions(self) -> list[int]:
        """Of what was sent of the log, in order."""
        told = [one.told for one in self.sent]
        return [one["position"] for one in told if one.get("position") is not None]


@dataclass(slots=True)
class Bridge:
    """A served API, and the delivery of the same process."""

    client: httpx.AsyncClient
    post: Post
    clock: ManualClock
    deliverer: Deliverer
    directory: Directory

    @property
    def address(self) -> str:
        return str(self.client.base_url)

    async def call(self, method: str, path: str, given: object = None, *, status: int = 200, **headers: str) -> Any:
        """The answer as JSON, which must have this status."""
        content = None if given is None else json.dumps(given)
        made = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = await self.client.request(method, f"/v1{path}", content=content, headers=made)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def deliver(self) -> list[int]:
        """Deliver all that is due now; the positions that were sent."""
        await self.directory.tick()
        before = len(self.post.positions())
        await self.deliverer.drain()
        return self.post.positions()[before:]


@asynccontextmanager
async def operated(
    engine: AsyncEngine,
    *,
    file: Mapping[str, Destination] | None = None,
    keys: tuple[str, ...] | None = None,
    token: str | None = None,
    within_s: float = PATIENCE_S,
) -> AsyncIterator[Bridge]:
    """A bridge whose operator calls from this machine, or with the ``token`` of the environment."""
    clock, post = ManualClock(START), Post()
    post.gate.set()
    settings = Settings(
        sources={},
        destinations=file or {},
        limits=LIMITS,
        api_token=None if token is None else SecretStr(token),
        secret_key=tuple(SecretStr(key) for key in ((new_key(),) if keys is None else keys)),
    )
    await provision(settings, engine, clock)
    deliverer = Deliverer(engine, post, clock, policies=[], jitter=lambda: 0.5)
    directory = Directory(settings, engine, clock, deliverer.adopt)
    deliverer.adopt(directory.told)
    app = web_app(
        engine=engine,
        hooks=Hooks({}, ClosedDoor(), clock),
        settings=settings,
        clock=clock,
        metrics=Metrics(),
        egress=post,
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, proxy_headers=False))
    async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started:
            await asyncio.wait([serving], timeout=0.01)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE_S) as client:
            if token is not None:
                client.headers["authorization"] = f"Bearer {token}"
            yield Bridge(client, post, clock, deliverer, directory)
        server.should_exit = True


def of_the_file(**fields: Any) -> dict[str, Destination]:
    """A file with one destination, ``books``."""
    given = {"name": "books", "url": "http://127.0.0.1:9/in", "secret": FILE_SECRET, "allow_private": True, **fields}
    return {"books": Destination.model_validate(given)}
