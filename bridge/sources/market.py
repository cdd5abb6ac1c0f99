"""What an adapter of a venue without a numbered log offers: lines that are listened to, and lists that are asked.

A new venue is a folder beside these: a channel table, a pure reader of frames, a conversation, and its lists.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.core.budget import Left
from bridge.core.channel import Channel, Told
from bridge.sources.base import LiveUpdate


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a venue's list says of a channel.

    ``told`` may reach beyond what was asked for, in any order, never twice the same row of one list. The answer is
    complete from ``complete_from`` on, up to when it was asked for; None where it is no proof of anything.
    ``superseding``: these are no past events but the present state, which stands for whatever was missed.
    ``venue_now`` is the venue's clock at the first answer, aware UTC, None where unknown.
    """

    told: tuple[Told, ...]
    complete_from: datetime | None
    superseding: bool = False
    venue_now: datetime | None = None


class Line(Protocol):
    """One connection of a source, kept open for ever, with the channels that are heard on it."""

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> tuple[Channel, ...]: ...

    def live(self) -> AsyncGenerator[LiveUpdate, None]:
        """What the socket says, for ever: it connects again by itself, with backoff, and says so."""
        ...

    async def resubscribe(self, series: str) -> None:
        """Ask for the channel anew, so that its snapshot comes. Nothing happens where no connection is up."""
        ...

    async def prove(self) -> None:
        """Ping now: the answer proves that everything before it was heard. Nothing happens without a connection."""
        ...


class MarketSource(Protocol):
    """One configured connection to a venue whose events the bridge numbers."""

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> tuple[Channel, ...]: ...

    @property
    def lines(self) -> tuple[Line, ...]: ...

    def budgets(self) -> Mapping[str, Left]:
        """What is left of each quota that the venue gives, by the name of the quota."""
        ...

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """The events of ``channel`` with ``since`` <= their time < ``until`` that the venue's lists still hold.

        Pages until the venue has no more, within the adapter's limits. What a list cannot say is not claimed:
        ``complete_from`` tells from where on nothing is missing. Raises KeyRefused, VenueError.
        """
        ...

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """The events of a linked or contiguous channel from number ``first`` to ``last``, both inclusive, ascending.

        Empty where the venue does not offer the range. Raises KeyRefused, VenueError.
        """
        ...

    async def snapshot(self, channel: Channel) -> Told | None:
        """The whole present state of a channel, asked by REST; None where it comes on the line after subscribing."""
        ...

    async def close(self) -> None: ...
