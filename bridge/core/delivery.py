"""What follows from the outcome of one attempt to deliver: go on, try again later, or stop."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.destination import DestinationPolicy
from bridge.core.retry import backoff_s

GONE = 410


@dataclass(frozen=True, slots=True)
class Answered:
    """There was an answer. ``excerpt`` is the beginning of its body, cleaned; ``latency_s`` until it was there."""

    status: int
    retry_after_s: float | None
    excerpt: str
    latency_s: float


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request surely did not arrive: no address, a refused connection, a failed handshake."""

    reason: str
    latency_s: float


@dataclass(frozen=True, slots=True)
class MaybeSent:
    """The request may have arrived and been acted on: a timeout, a connection lost underway."""

    reason: str
    latency_s: float


Outcome = Answered | NotSent | MaybeSent


@dataclass(frozen=True, slots=True)
class Advance:
    """The entry was accepted: go on with the next."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The same entry again, not before ``at``."""

    at: datetime
    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The destination wants nothing any more, until a person says otherwise."""

    status: int
    error: str


Decision = Advance | Retry | Stop

ADVANCE = Advance()


def decide(outcome: Outcome, *, failures: int, now: datetime, policy: DestinationPolicy, jitter: float) -> Decision:
    """What to do after ``outcome``; ``failures`` counts those in a row before it, ``jitter`` is in [0, 1).

    Whatever is neither accepted nor gone is tried again for as long as it takes: an entry is never dropped.
    """
    if isinstance(outcome, Answered) and 200 <= outcome.status < 300:
        return ADVANCE
    if isinstance(outcome, Answered) and outcome.status == GONE:
        return Stop(outcome.status, _said(outcome))
    wait_s = backoff_s(failures + 1, first_s=policy.retry_first_s, max_s=policy.retry_max_s, jitter=jitter)
    if isinstance(outcome, Answered):
        wait_s = max(wait_s, outcome.retry_after_s or 0.0)
        return Retry(now + timedelta(seconds=wait_s), outcome.status, _said(outcome))
    return Retry(now + timedelta(seconds=wait_s), None, outcome.reason)


def _said(outcome: Answered) -> str:
    return f"answered {outcome.status}" + (f": {outcome.excerpt}" if outcome.excerpt else "")
