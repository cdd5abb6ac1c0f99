"""The words of alerting: how bad, what holds, what was counted. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LOG = "log"
"""The channel that is always there, and is told everything."""


class Severity(StrEnum):
    """How soon a person should look."""

    WARNING = "warning"
    CRITICAL = "critical"


_RANKS: Mapping[str, int] = {severity.value: nth for nth, severity in enumerate(Severity)}


def rank(severity: str) -> int:
    """The larger, the worse."""
    return _RANKS[severity]


class Kind(StrEnum):
    """What a notice says of its alert."""

    FIRING = "firing"
    WORSE = "worse"
    AGAIN = "again"
    RESOLVED = "resolved"
    SUMMARY = "summary"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Condition:
    """What holds at this moment. Rule and subject together are what it is known by."""

    rule: str
    subject: str
    severity: Severity
    sentence: str
    figures: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened in a stream, counted by the hour, the earliest first. ``nouns`` call one, and several."""

    rule: str
    subject: str
    severity: Severity
    nouns: tuple[str, str]
    hours: tuple[tuple[datetime, int], ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the rules found. Of the rules in ``unsure`` not all was read: what is not found may hold all the same."""

    conditions: tuple[Condition, ...] = ()
    tallies: tuple[Tally, ...] = ()
    unsure: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From when on something needs a person.

    ``sources`` are those that are configured, each with how long it may be silent. ``takers`` are the destinations
    of the file, each with the globs of its streams. ``keep_s`` is how long retention keeps an entry, None where it
    keeps everything. ``off`` names rules that nobody wants.
    """

    gap_open_s: float = 300.0
    gap_warning_share: float = 0.5
    gap_critical_share: float = 0.8
    unmatched_s: float = 1800.0
    lagging_s: float = 300.0
    expiring_share: float = 0.8
    keep_s: float | None = None
    database_bytes_max: int | None = None
    sources: Mapping[str, float] = field(default_factory=dict)
    takers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    off: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient alerts are.

    A condition must be gone for ``resolve_s`` before it counts as over, and a count must have stood for ``quiet_s``.
    Between two notices of one alert lie ``repeat_s``, but for one that got worse or is over. Beyond
    ``notices_per_minute_max`` one line a minute sums up the rest.
    """

    resolve_s: float = 60.0
    quiet_s: float = 900.0
    repeat_s: float = 300.0
    notices_per_minute_max: int = 20
