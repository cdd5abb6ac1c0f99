"""One attempt: signed, posted, and decided on."""

from datetime import datetime
from typing import NamedTuple

from bridge.core.delivery import Advance, Decision, Retry, Stop, decide
from bridge.core.destination import DestinationPolicy
from bridge.core.envelope import notice_headers
from bridge.core.tracing import HEADER
from bridge.deliver.limits import Means, Post
from bridge.deliver.parcel import Parcel, headers
from bridge.store.attempts import Attempt
from bridge.store.cursors import Claim


class Tried(NamedTuple):
    """What came of an attempt that began at ``started_at``, after so many ``failures`` in a row."""

    decision: Decision
    started_at: datetime
    latency_s: float
    failures: int


class Poster:
    """Posts what belongs to one claimed cursor."""

    def __init__(self, claim: Claim, policy: DestinationPolicy, means: Means) -> None:
        self._claim = claim
        self._policy = policy
        self._means = means

    async def send(
        self, parcel: Parcel, content: bytes, *, failures: int, failing_since: datetime | None = None
    ) -> Tried:
        """Post ``content``, the body of ``parcel``. ``failures`` counts those in a row before."""
        now = self._means.clock.now()
        given = headers(parcel, content, self._policy, timestamp_s=int(now.timestamp()), attempt=failures + 1)
        alone, posting, post = len(parcel.entries) == 1, self._means.posting, None
        if posting is not None:
            post = posting.entries(self._policy.name, parcel.entries, attempt=failures + 1, at=now)
        return await self._try(given, content, now, post, failures=failures, alone=alone, failing_since=failing_since)

    async def send_notice(self, content: bytes, identity: str, *, failures: int) -> Tried:
        """Post what has no place in the log; it is never laid aside."""
        now, posting, post = self._means.clock.now(), self._means.posting, None
        if posting is not None:
            post = posting.notice(self._policy.name, self._claim.stream, identity, attempt=failures + 1, at=now)
        given = notice_headers(
            self._claim.stream,
            content,
            identity,
            keys=self._policy.secrets,
            timestamp_s=int(now.timestamp()),
            attempt=failures + 1,
        )
        return await self._try(given, content, now, post, failures=failures, alone=False, failing_since=None)

    def record(self, tried: Tried, first: int, last: int, entries: int) -> Attempt:
        """The row of a failed attempt at ``entries`` from position ``first`` to ``last``."""
        decision = tried.decision
        assert not isinstance(decision, Advance)
        return Attempt(
            destination_id=self._claim.destination_id,
            stream_id=self._claim.stream_id,
            first=first,
            last=last,
            entries=entries,
            outcome="refused" if isinstance(decision, Stop) else "unknown",
            status=decision.status,
            error=decision.error,
            latency_max_ms=tried.latency_s * 1000,
            started_at=tried.started_at,
            ended_at=self._means.clock.now(),
        )

    async def _try(
        self,
        given: dict[str, str],
        content: bytes,
        now: datetime,
        post: Post | None,
        *,
        failures: int,
        alone: bool,
        failing_since: datetime | None,
    ) -> Tried:
        means, policy = self._means, self._policy
        if post is not None:
            given[HEADER] = post.traceparent
        outcome = await means.egress.post(
            policy.url, given, content, timeout_s=policy.timeout_s, allow_private=policy.allow_private
        )
        decision = decide(
            outcome,
            failures=failures,
            now=means.clock.now(),
            policy=policy,
            jitter=means.jitter(),
            alone=alone,
            failing_since=failing_since,
        )
        word = _WORDS.get(type(decision), "unknown")
        means.observe.attempted(policy.name, word)
        if post is not None:
            post.end(word, outcome)
        return Tried(decision, now, outcome.latency_s, failures)


_WORDS = {Advance: "accepted", Stop: "refused", Retry: "unknown"}
