"""What every venue adapter offers. The reconciler and the listener are written against this, not against venues."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.core.channel import Told
from bridge.core.errors import VenueError
from bridge.core.event import Event


class KeyRefused(VenueError):
    """The venue does not take our key: trying again soon cannot help, a person can."""


class Malformed(ValueError):
    """A delivery or frame that is no event: says what is wrong, never quotes the content."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a venue's replay.

    ``events`` are in the order of the answer. ``rows`` counts what was in it, ``malformed`` how many of those
    could not be read. ``more`` is the venue's own word on whether there is more, None where it says nothing.
    ``venue_now`` is the venue's clock at the answer (its ``Date`` header), aware UTC, None where absent.
    """

    events: tuple[Event, ...]
    rows: int
    malformed: int
    more: bool | None
    venue_now: datetime | None


class Replay(Protocol):
    """A venue's way to ask for past events."""

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        """Rows with a number strictly above ``since`` (None: from the oldest retained), ascending, at most ``limit``.

        Raises KeyRefused when the venue does not take our key, VenueError when there is no answer
        that could be read, after the retries of the REST client.
        """
        ...


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is authenticated and subscribed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The socket is gone. ``misconfigured`` when trying again soon cannot help (a refused key)."""

    reason: str
    misconfigured: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The venue acknowledged: these channels are heard from now on."""

    series: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The venue does not let us hear these channels on this connection; the others are not concerned."""

    series: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Alive:
    """Everything that the venue had said on this connection before this has been heard.

    ``sent_at`` is the venue's own time of saying it, None where it says none. ``asked_s`` is when the ping was sent
    that this answers, ``heard_s`` when this was heard, both on the local monotonic clock.
    """

    sent_at: datetime | None
    asked_s: float | None
    heard_s: float


LiveUpdate = Connected | Disconnected | Subscribed | Unsubscribed | Alive | Event | Told


class Source(Protocol):
    """One configured connection to a venue."""

    @property
    def name(self) -> str: ...

    @property
    def replay(self) -> Replay: ...

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
        """The event in a verified webhook body. ``sequence`` is None for a delivery without a number.

        Raises Malformed when the body is no JSON object.
        """
        ...

    def live(self) -> AsyncGenerator[LiveUpdate, None]:
        """What the socket says, for ever: it connects again by itself, with backoff, and says so.

        Close it (``contextlib.aclosing``) when done: that closes the socket.
        """
        ...

    async def close(self) -> None: ...
