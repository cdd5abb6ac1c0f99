"""What follows from the outcome of one attempt to deliver: go on, try again later, lay aside, or stop."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.destination import DestinationPolicy, Exhausted
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
class Park:
    """The entry was not taken often enough: it is laid aside, and the next one follows."""

    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more to the destination, until a person says otherwise."""

    status: int | None
    error: str


Decision = Advance | Retry | Park | Stop

ADVANCE = Advance()


def decide(
    outcome: Outcome,
    *,
    failures: int,
    now: datetime,
    policy: DestinationPolicy,
    jitter: float,
    alone: bool = True,
    failing_since: datetime | None = None,
) -> Decision:
    """What to do after ``outcome``.

    Whatever is neither accepted nor gone is tried again for as long as it takes, where the policy says no more: an
    entry is never dropped.

    Args:
        failures: those in a row before this attempt.
        jitter: in [0, 1).
        alone: whether the attempt was about one entry only; one among others is not laid aside.
        failing_since: since when the destination has taken nothing on this stream; None if this is the first failure.
    """
    if isinstance(outcome, Answered) and 200 <= outcome.status < 300:
        return ADVANCE
    status = outcome.status if isinstance(outcome, Answered) else None
    said = _said(outcome) if isinstance(outcome, Answered) else outcome.reason
    if status == GONE:
        return Stop(status, said)
    if alone and policy.on_exhausted is Exhausted.PARK and failures + 1 >= policy.attempts_max:
        return Park(status, said)
    if policy.stop_after_s is not None and failing_since is not None:
        failed_for_s = (now - failing_since).total_seconds()
        if failed_for_s >= policy.stop_after_s:
            return Stop(status, f"took nothing for {failed_for_s:.0f} s: {said}")
    wait_s = backoff_s(failures + 1, first_s=policy.retry_first_s, max_s=policy.retry_max_s, jitter=jitter)
    if isinstance(outcome, Answered):
        wait_s = max(wait_s, outcome.retry_after_s or 0.0)
    return Retry(now + timedelta(seconds=wait_s), status, said)


def _said(outcome: Answered) -> str:
    return f"answered {outcome.status}" + (f": {outcome.excerpt}" if outcome.excerpt else "")
