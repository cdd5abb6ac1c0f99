"""Events of our own making, for every test that needs some."""

import json
from datetime import UTC, datetime, timedelta

from bridge.core.event import Event, digest_of

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)


def event(
    sequence: int | None,
    *,
    event_id: str | None = None,
    event_type: str = "ORDER_MATCHED",
    key: str = "market-1",
    **payload: object,
) -> Event:
    """An event whose payload tells its number, unless told otherwise."""
    body = json.dumps(payload or {"n": sequence}).encode()
    return Event(
        event_id=event_id or f"id-{sequence}",
        type=event_type,
        key=key,
        payload=body,
        digest=digest_of(body),
        sequence=sequence,
        occurred_at=START + timedelta(seconds=sequence or 0),
    )
