"""What is known of a channel: how its events hang together, what can be noticed, and what repairs a hole.

A venue's channels are a table of these. Whoever follows a channel is written against this table, never against
a venue.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bridge.core.event import Event


class Model(StrEnum):
    """How the events of a channel hang together."""

    CONTIGUOUS = "contiguous"
    """Each number is its predecessor's plus one."""
    LINKED = "linked"
    """Each event names the number of its predecessor; numbers may jump."""
    SPARSE = "sparse"
    """Numbers grow, and holes are normal."""
    KEYED = "keyed"
    """A unique id per event, and no order but time."""
    STATE = "state"
    """Each event replaces a whole state."""
    MERGE = "merge"
    """A snapshot, then partial changes without numbers."""
    VALUE_LINKED = "value-linked"
    """Each event carries the value before it and the value after it."""
    NONE = "none"
    """Nothing usable: two events may be equal to the last byte and still be two."""


class Repair(StrEnum):
    """What fills a hole of a channel."""

    HISTORY = "history"
    """The venue's lists of past events, asked by time."""
    PULL = "pull"
    """The venue's route for a range of numbers, and a snapshot where that does not reach."""
    SNAPSHOT = "snapshot"
    """A whole state that supersedes whatever was missed."""
    NOTHING = "nothing"
    """The venue offers none: what was missed is lost, and told."""


IN_SESSION = frozenset({Model.CONTIGUOUS, Model.LINKED, Model.MERGE})
"""Ordered by the connection they arrive on. All others settle in the order of (venue time, natural id)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One row of a venue's channel table.

    ``series`` names the stream after its source, ``topic`` is the venue's own word for it. ``scope`` says what one
    chain of events spans. ``settle_s`` is how long after an event's own time the venue may still tell of it.
    ``lag_s`` is how long after an event the lists may still lack it. ``reach`` says how far back the repair reaches,
    for people. ``unnoticed`` says which losses nobody can notice, None where every loss shows.
    """

    series: str
    topic: str
    model: Model
    repair: Repair
    id_fields: tuple[str, ...]
    scope: str
    private: bool = False
    settle_s: float = 0.5
    lag_s: float = 2.0
    reach: str = ""
    unnoticed: str | None = None

    @property
    def in_session(self) -> bool:
        """Whether events are ordered by their connection, and not by their time."""
        return self.model in IN_SESSION

    def stream_of(self, source: str) -> str:
        """The name of the stream that the channel of ``source`` is."""
        return f"{source}.{self.series}"


class Link(NamedTuple):
    """Where an event stands in its session's chain.

    ``previous`` is the number it follows, None where the channel is contiguous (``number - 1``) or counts nothing.
    ``number`` is None in a channel without numbers. A ``snapshot`` stands for everything up to its number.
    """

    number: int | None
    previous: int | None = None
    snapshot: bool = False


class Step(NamedTuple):
    """What an event of a value-linked channel says of one value: what it was before, and what it is after.

    Both are normal forms of the venue's decimals: equal values are equal text.
    """

    key: str
    before: str
    after: str


class Told(NamedTuple):
    """One event of a channel, as the venue told it. ``event.sequence`` is None: the bridge numbers it.

    ``event.event_id`` is the venue's natural id, or what stands for it: in a channel of the model ``none`` it is
    made of the content, so that twins have the same one. ``event.occurred_at`` is never None where the channel
    is ordered by time.
    """

    series: str
    event: Event
    link: Link | None = None
    step: Step | None = None
