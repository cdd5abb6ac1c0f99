"""Signing in as a browser does: the page, its form with its mark, and the cookie that comes of it."""

import re

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import tokens
from bridge.store.tokens import Scope, new_token
from tests.events import START

OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
"""What a browser says of a form on a page of ours."""
COOKIE = "bridge_session"


async def token_of(engine: AsyncEngine, name: str, scope: Scope) -> str:
    """A new token of the database."""
    token = new_token()
    async with engine.begin() as conn:
        assert await tokens.create(conn, name=name, token=token, scope=scope, expires_at=None, now=START)
    return token


def mark_in(page: httpx.Response) -> str:
    """The mark that the first form of the page carries."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    """Send a form."""
    return await client.post(path, data=fields, headers=OWN if headers is None else headers)


async def sign_in(client: httpx.AsyncClient, token: str, *, wanted: str = "/") -> httpx.Response:
    """What is answered to whoever shows this token on the page for it."""
    page = await client.get("/login", params={"next": wanted})
    assert page.status_code == 200, page.text
    return await post(client, "/login", csrf=mark_in(page), next=wanted, token=token)
