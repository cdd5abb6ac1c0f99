"""A venue at a known hour, and its replay read over HTTP without a network."""

from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from bridge.clock import ManualClock
from bridge.sim.playbatman import API_KEY, Faults, Venue, rest_app

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def venue_with(*, seed: int = 1, operators: int = 3, retention_s: float = 86_400, **faults: object) -> Venue:
    return Venue(
        seed=seed,
        start=START,
        faults=Faults().patched(faults),
        operators=operators,
        retention_s=retention_s,
    )


def reader(venue: Venue, clock: ManualClock | None = None, *, key: str | bytes | None = API_KEY) -> httpx.AsyncClient:
    app = rest_app(venue, clock=clock or ManualClock(START))
    headers = [] if key is None else [(b"X-Api-Key", key if isinstance(key, bytes) else key.encode())]
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://venue.test", headers=headers)


def events_of(answer: httpx.Response) -> list[dict[str, object]]:
    assert answer.status_code == 200, answer.text
    return msgspec.convert(answer.json()["data"]["events"], list[dict[str, object]])
