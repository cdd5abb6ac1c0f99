"""What a destination is told outside of the log: what expired before it came, and where it should stand."""

from datetime import datetime, timedelta

from bridge.core import envelope
from bridge.core.delivery import Advance
from bridge.core.destination import DestinationPolicy
from bridge.deliver.holding import Holding
from bridge.deliver.limits import Means
from bridge.deliver.posting import Poster, Tried
from bridge.store import checkpoints, cursors
from bridge.store.cursors import Claim
from bridge.store.engine import store_errors

EXPIRED = "bridge.expired"
CHECKPOINT = "bridge.checkpoint"


class Notices:
    """The notices of one claimed cursor."""

    def __init__(
        self, claim: Claim, policy: DestinationPolicy, means: Means, holding: Holding, poster: Poster
    ) -> None:
        self._claim = claim
        self._policy = policy
        self._means = means
        self._holding = holding
        self._poster = poster
        self._expired = claim.expired
        self._checked_to, self._checked_at = claim.checkpoint_position, claim.checkpoint_at

    async def send(self) -> Tried | None:
        """Send what is due now; None where nothing is left to be sent, else what failed."""
        if self._expired is not None:
            tried = await self._tell_expired(self._expired)
            if not isinstance(tried.decision, Advance):
                return tried
        if self._is_due():
            tried = await self._tell_checkpoint()
            if not isinstance(tried.decision, Advance):
                return tried
        return None

    def _is_due(self) -> bool:
        policy, position = self._policy, self._holding.position
        if policy.checkpoint_every is not None and position - self._checked_to >= policy.checkpoint_every:
            return True
        if policy.checkpoint_every_s is None:
            return False
        at = self._checked_at
        return at is None or self._means.clock.now() - at >= timedelta(seconds=policy.checkpoint_every_s)

    async def _tell_expired(self, span: tuple[int, int]) -> Tried:
        first, last = span
        content = envelope.notice(EXPIRED, self._claim.stream, self._means.clock.now(), first=first, last=last)
        tried = await self._poster.send_notice(
            content, f"{EXPIRED}:{self._policy.name}:{first}-{last}", failures=self._holding.failures
        )
        if isinstance(tried.decision, Advance):
            with store_errors():
                async with self._means.engine.begin() as conn:
                    await cursors.expiry_told(conn, self._claim)
            self._expired = None
        return tried

    async def _tell_checkpoint(self) -> Tried:
        position, now = self._holding.position, self._means.clock.now()
        with store_errors():
            async with self._means.reading.connect() as conn:
                found = await checkpoints.read(conn, stream_id=self._claim.stream_id, position=position)
        content = envelope.notice(
            CHECKPOINT,
            self._claim.stream,
            now,
            **{"from": self._checked_to + 1, "to": position, "count": position - self._checked_to},
            chain=found.chain.hex(),
            frontier=found.frontier,
            head=found.head,
            gaps=[{"first": first, "last": last} for first, last in found.gaps],
        )
        identity = f"{CHECKPOINT}:{self._policy.name}:{self._checked_to}-{position}:{_text(self._checked_at)}"
        tried = await self._poster.send_notice(content, identity, failures=self._holding.failures)
        if isinstance(tried.decision, Advance):
            with store_errors():
                async with self._means.engine.begin() as conn:
                    await cursors.checked(conn, self._claim, position=position, now=now)
            self._checked_to, self._checked_at = position, now
        return tried


def _text(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()
