"""Telling: what waits for one channel goes there, one by one, until it has it or it has been too long.

A notice is marked as told after the channel has taken it. A process that dies in between tells it again, under the
same key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alert.channel import Accepted, Channel, Failed
from bridge.alert.notice import message_of
from bridge.clock import Clock
from bridge.core.retry import backoff_s
from bridge.store import notices
from bridge.store.engine import store_errors
from bridge.store.notices import Notice

log = structlog.get_logger()

LEASE_SPARE_S = 5.0
"""How much longer a notice is held than telling it may take."""
NOTICES_PER_TICK_MAX = 100
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0

Observe = Callable[[str, str], None]
"""Is told the channel, and ``told``, ``failed`` or ``given_up``."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How a notice that was not taken is tried again, and for how long."""

    retry_first_s: float = 5.0
    retry_max_s: float = 300.0
    give_up_s: float = 86_400.0


class Teller:
    """Tells one channel. It knows of no other, so that none waits for it."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        channel: Channel,
        *,
        patience: Patience,
        jitter: Callable[[], float],
        observe: Observe,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._channel = channel
        self._patience = patience
        self._jitter = jitter
        self._observe = observe
        self._failures = 0
        self._not_before = 0.0

    async def tick(self) -> int:
        """Tell what is due, until something is not taken; returns how many notices the channel took.

        Raises:
            StoreUnavailable: the database is away.
        """
        told = 0
        while told < NOTICES_PER_TICK_MAX and self._clock.monotonic() >= self._not_before:
            notice = await self._claim()
            if notice is None:
                break
            message = message_of(notice.id, notice.alert_id, notice.kind, notice.message, notice.decided_at)
            match await self._channel.send(message):
                case Accepted():
                    await self._accepted(notice)
                    told += 1
                case Failed() as failed:
                    await self._failed(notice, failed)
        return told

    async def _claim(self) -> Notice | None:
        now = self._clock.now()
        until = now + timedelta(seconds=self._channel.timeout_s + LEASE_SPARE_S)
        with store_errors():
            async with self._engine.begin() as conn:
                return await notices.claim(conn, channel=self._channel.name, now=now, until=until)

    async def _accepted(self, notice: Notice) -> None:
        self._failures = 0
        self._observe(self._channel.name, "told")
        with store_errors():
            async with self._engine.begin() as conn:
                await notices.tell(conn, notice, now=self._clock.now())

    async def _failed(self, notice: Notice, failed: Failed) -> None:
        """Leave the channel alone for a while, and the notice for longer."""
        now, name = self._clock.now(), self._channel.name
        self._failures += 1
        pause_s = backoff_s(self._failures, first_s=PAUSE_FIRST_S, max_s=PAUSE_MAX_S, jitter=self._jitter())
        self._not_before = self._clock.monotonic() + max(pause_s, failed.wait_s)
        is_over = (now - notice.decided_at).total_seconds() >= self._patience.give_up_s
        wait_s = self._wait_s(notice, failed)
        with store_errors():
            async with self._engine.begin() as conn:
                if is_over:
                    await notices.give_up(conn, notice, error=failed.reason, now=now)
                else:
                    due_at = now + timedelta(seconds=wait_s)
                    await notices.fail(conn, notice, due_at=due_at, error=failed.reason)
        told = {"channel": name, "notice": notice.id, "attempts": notice.attempts, "reason": failed.reason}
        if is_over:
            log.error("alert.given_up", **told)
        else:
            log.warning("alert.untold", **told, wait_s=round(wait_s, 1))
        self._observe(name, "given_up" if is_over else "failed")

    def _wait_s(self, notice: Notice, failed: Failed) -> float:
        patience = self._patience
        wait_s = backoff_s(
            notice.attempts, first_s=patience.retry_first_s, max_s=patience.retry_max_s, jitter=self._jitter()
        )
        return max(wait_s, failed.wait_s)
