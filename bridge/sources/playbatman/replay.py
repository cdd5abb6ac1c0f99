"""The venue's REST routes that the bridge uses: the event replay, and the registration of a webhook."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bridge.core.errors import VenueError
from bridge.sources.base import Page
from bridge.sources.playbatman.envelope import UNREADABLE
from bridge.sources.playbatman.page import PageReader
from bridge.sources.rest import Rest

EVENTS_PATH = "/api/v1/events"
WEBHOOKS_PATH = "/api/v1/webhooks"


class Registered(NamedTuple):
    """A webhook as the venue made it. The venue tells the secret once."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"Registered(id={self.id!r})"


class EventReplay:
    """Asks for past events, page by page."""

    def __init__(self, rest: Rest, *, more_fields: tuple[str, ...] = ("hasMore",)) -> None:
        self._rest = rest
        self._reader = PageReader(more_fields)

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        """Rows strictly above ``since`` (None: from the oldest retained), at most ``limit``. Raises VenueError.

        ``urgent`` calls may use the part of the quota that is kept back for what expires soon.
        """
        params = {"limit": limit} if since is None else {"since": since, "limit": limit}
        answer = await self._rest.get(EVENTS_PATH, params, urgent=urgent)
        return self._reader.page(answer.body, answer.venue_now)


async def register_webhook(rest: Rest, url: str, events: Sequence[str] = (), description: str = "") -> Registered:
    """Register ``url`` for ``events`` (none: every type) at the venue. Raises VenueError."""
    wanted: dict[str, object] = {"url": url}
    if events:
        wanted["events"] = list(events)
    if description:
        wanted["description"] = description
    answer = await rest.post(WEBHOOKS_PATH, msgspec.json.encode(wanted))
    try:
        told = msgspec.json.decode(answer.body, type=_Answer)
    except UNREADABLE:
        raise VenueError("the venue's answer to the registration cannot be read") from None
    if not told.success:
        raise VenueError("the venue refused the registration")
    return Registered(told.data.id, told.data.secret)


class _Webhook(msgspec.Struct):
    id: str
    secret: str


class _Answer(msgspec.Struct):
    success: bool
    data: _Webhook
