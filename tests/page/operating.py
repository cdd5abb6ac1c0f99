"""A bridge with something on each page of an operator's, and its forms filled in as a browser does without script."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.delivery import Answered
from bridge.store.tokens import Scope
from tests.logs import START, append_events
from tests.page.signing import token_of
from tests.web.operators import OK, URL, Bridge, operated

NO = Answered(500, None, "not <b>today</b>", 0.25)
LEDGER = {"name": "ledger", "url": URL}
TOKEN = "the-token-of-the-environment"


@dataclass(slots=True)
class Operator:
    """A browser without script: it remembers cookies, and sends the forms that pages hold."""

    client: httpx.AsyncClient

    async def get(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(path)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.text

    async def send(self, page: str, path: str, *, status: int = 303, **fields: str) -> httpx.Response:
        """Send the last form of a page, filled in, to ``path``."""
        form = page[page.rindex("<form") :]
        hidden = {n: unescape(v) for n, v in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}
        headers = {"origin": str(self.client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
        answer = await self.client.post(path, data={**hidden, **fields}, headers=headers)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer

    async def do(self, path: str, **fields: str) -> str:
        """Ask for the page that asks, send its form, and follow: the page that says what was done."""
        answer = await self.send(await self.get(path), path.partition("?")[0], status=303, **fields)
        return await self.get(answer.headers["location"])


def said(page: str) -> str:
    """What the page says of the act before it."""
    found = re.search(r'<p class="message \w+"[^>]*>(.*?)</p>', page, re.DOTALL)
    return "" if found is None else unescape(found[1])


@asynccontextmanager
async def operator(
    engine: AsyncEngine, scope: Scope = Scope.OPERATE, *, within_s: float = 60
) -> AsyncIterator[tuple[Bridge, Operator]]:
    """A bridge that has delivered, and somebody with this scope who has signed in to it."""
    token = await token_of(engine, f"the-{scope}", scope)
    async with operated(engine, token=TOKEN, within_s=within_s) as bridge, visiting(bridge) as client:
        signing = Operator(client)
        answer = await signing.send(await signing.get("/login"), "/login", token=token)
        assert answer.headers["location"] == "/"
        yield bridge, signing


def visiting(bridge: Bridge) -> httpx.AsyncClient:
    """A browser that nobody knows yet."""
    return httpx.AsyncClient(base_url=bridge.address, trust_env=False, timeout=20)


async def delivered(engine: AsyncEngine, bridge: Bridge, count: int = 10) -> None:
    """A destination that has taken everything of one stream."""
    await append_events(engine, "pb.events", count)
    await bridge.call("POST", "/destinations", LEDGER, status=201)
    assert await bridge.deliver() == list(range(1, count + 1))


async def with_parked(engine: AsyncEngine, bridge: Bridge, count: int = 3) -> None:
    """A destination that has laid everything aside."""
    await append_events(engine, "pb.events", count)
    given = {**LEDGER, "on_exhausted": "park", "attempts_max": 1}
    await bridge.call("POST", "/destinations", given, status=201)
    bridge.post.answer = NO
    await bridge.deliver()
    bridge.post.answer = OK


async def with_alerts(engine: AsyncEngine) -> None:
    """Two alerts that hold, and one that is over."""
    async with engine.begin() as conn:
        for rule, subject, severity, over in (
            ("gap_open", "pb.events", "warning", None),
            ("stopped", "ledger", "critical", None),
            ("late", "pb.ws", "warning", START),
        ):
            await conn.execute(
                text(
                    "INSERT INTO alerts (rule, subject, severity, sentence, figures, first_at, last_at, resolved_at)"
                    " VALUES (:rule, :subject, :severity, :sentence, '{}', :at, :at, :over)"
                ),
                {"rule": rule, "subject": subject, "severity": severity, "over": over, "at": START}
                | {"sentence": f"{subject} <i>needs</i> a person."},
            )
