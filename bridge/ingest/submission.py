"""What is handed to the door, and what it hands back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from bridge.core.channel import Channel
from bridge.core.event import Event, Transport
from bridge.store.evidence import Evidence


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What is configured of a stream.

    ``numbering`` is ``venue`` (events carry the sequence) or ``bridge`` (the door gives them one, on arrival).
    ``tell_below_base`` says whether an event below the stream's first number is told as late: true where the
    stream begins at what the venue still had, false where an operator chose the beginning. ``once`` is for numbers
    of the bridge's own: an event is known by its id, and told again it is a repetition; otherwise every arrival is an
    event. ``channel`` is what the stream is declared to be.
    """

    name: str
    source: str
    numbering: str
    settle_s: float
    settle_max_s: float = 60.0
    suspect_after: int = 5
    tell_below_base: bool = True
    once: bool = False
    channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """Where the numbering that is ours to prove begins, and the venue's time of that."""

    number: int
    anchored_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The venue restarted its numbers: seal the epoch ``sealing`` and begin the next one at ``base``."""

    sealing: int
    base: Base


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reader of ``epoch`` found out.

    ``base`` begins a stream that has none. ``quiet_until`` is a time, by the venue's clock, up to which nothing
    followed the frontier. ``same_epoch`` lifts a suspicion: the numbering was not restarted.
    """

    epoch: int
    evidence: tuple[Evidence, ...] = ()
    base: Base | None = None
    quiet_until: datetime | None = None
    same_epoch: bool = False
    settle_s: float | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """One call to the door: events as one transport told them, or what the reconciler found out.

    Numbers under ``reread_below`` were told by this reader before, and are not counted as heard again. ``audit``
    is the pass that looks for what is missing where nothing should be; what it finds so is a gap that it has healed.
    """

    events: Sequence[Event] = ()
    transport: Transport | None = None
    reread_below: int = 0
    audit: int | None = None
    finding: Finding | None = None
    epoch: NewEpoch | None = None


class Receipt(NamedTuple):
    """What became of a submission, after the commit.

    ``fresh`` holds the numbers that were new, ``late`` those of them that had been taken for absent or lost, and
    ``conflicts`` those whose stored content is another.
    """

    fresh: tuple[int, ...] = ()
    duplicates: int = 0
    conflicts: tuple[int, ...] = ()
    sightings: int = 0
    held: int = 0
    late: tuple[int, ...] = ()


class Answer(Protocol):
    """Who is told what became of a submission: as much of a future as the door needs. None of it may raise."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, result: Receipt, /) -> None: ...

    def set_exception(self, exception: Exception, /) -> None: ...
