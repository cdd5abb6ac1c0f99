"""Who takes the log: where they are, what of it they want, and how patient the bridge is with them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate

from bridge.core.event import LogEntry

EVERYTHING = ("*",)


class Order(StrEnum):
    """What comes after what: every entry of a stream, or only those of one key."""

    STREAM = "stream"
    KEY = "key"


class Exhausted(StrEnum):
    """What becomes of an entry that is not taken: its stream waits for it, or it is laid aside."""

    HALT = "halt"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """One configured destination.

    ``secrets`` are decoded Standard Webhooks keys, the newest first; the URL may hold a credential of its own:
    neither shows in ``repr``. ``streams``, ``types`` and ``keys`` are globs; only with ``allow_private`` may the URL
    lead to a loopback, private or otherwise special address. One POST carries up to ``batch_max`` entries, and up to
    ``in_flight_max`` POSTs are under way where the order is by key. ``rate_per_s`` bounds the POSTs of one worker.
    An entry is parked after ``attempts_max`` attempts; a destination that has taken nothing for ``stop_after_s`` is
    stopped. A checkpoint is sent every ``checkpoint_every`` entries, or ``checkpoint_every_s``, and with ``reports``
    news of each day's report.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    streams: tuple[str, ...] = EVERYTHING
    types: tuple[str, ...] = EVERYTHING
    keys: tuple[str, ...] = EVERYTHING
    allow_private: bool = False
    timeout_s: float = 15.0
    retry_first_s: float = 1.0
    retry_max_s: float = 300.0
    batch_max: int = 1
    order: Order = Order.STREAM
    in_flight_max: int = 1
    rate_per_s: float | None = None
    on_exhausted: Exhausted = Exhausted.HALT
    attempts_max: int = 10
    stop_after_s: float | None = None
    checkpoint_every: int | None = None
    checkpoint_every_s: float | None = None
    reports: bool = False


def matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name fits one of the globs, upper and lower case apart. Compile once, ask often."""
    if "*" in globs:
        return lambda _name: True
    compiled = re.compile("|".join(translate(glob) for glob in globs) or r"(?!)")
    return lambda name: compiled.match(name) is not None


def chooser(policy: DestinationPolicy) -> Callable[[LogEntry], bool]:
    """Whether the destination is to be sent an entry.

    What the bridge itself tells - a loss, a conflict, a new epoch - is sent whatever the types and keys: it may be
    about the very type that was asked for, and nothing is to be lost in silence.
    """
    fits, belongs = matcher(policy.types), matcher(policy.keys)
    return lambda entry: entry.sequence is None or (fits(entry.type) and belongs(entry.key))
