"""Who is delivered to: the destinations of the file, and those that the API made, as they are at this moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.core.destination import DestinationPolicy
from bridge.core.errors import BridgeError, StoreUnavailable
from bridge.operate import destinations
from bridge.operate.acting import Acting
from bridge.operate.credentials import Credentials
from bridge.operate.policies import delivered
from bridge.store import managed
from bridge.store.engine import store_errors
from bridge.store.managed import Managed
from bridge.store.vault import Vault

log = structlog.get_logger()

Adopt = Callable[[Sequence[DestinationPolicy]], None]


async def provision(settings: Settings, engine: AsyncEngine, clock: Clock) -> None:
    """A row for every destination of the file. Raises Conflict where the API has made one of that name."""
    with store_errors():
        async with engine.begin() as connection:
            act = Acting(connection, "file", clock.now(), Vault(), settings.destinations)
            await destinations.provision(act)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A row as it was opened; ``until`` is when one of its secrets ends. Without a policy it cannot be used."""

    row: Managed
    policy: DestinationPolicy | None
    until: datetime | None

    def is_good(self, row: Managed, now: datetime) -> bool:
        same = (row.version, row.sealed, row.policy) == (self.row.version, self.row.sealed, self.row.policy)
        return same and (self.until is None or now < self.until)


class Directory:
    """Tells ``adopt`` whenever there is a change in who is delivered to, or how."""

    def __init__(self, settings: Settings, engine: AsyncEngine, clock: Clock, adopt: Adopt) -> None:
        self._file = parts.policies(settings)
        self._names = frozenset(settings.destinations)
        self._engine = engine
        self._clock = clock
        self._adopt = adopt
        self._vault = Vault([key.get_secret_value() for key in settings.secret_key])
        self._poll_s = settings.limits.poll_every_s
        self._opened: dict[int, _Opened] = {}
        self._mark: object = None
        self.told: list[DestinationPolicy] = self._file

    async def run(self) -> None:
        """Look again and again."""
        while True:
            try:
                await self.tick()
            except StoreUnavailable as error:
                log.warning("destinations.waiting", error=str(error))
            await self._clock.sleep(self._poll_s)

    async def tick(self) -> int:
        """Look once; returns how many destinations that the API made are delivered to."""
        now = self._clock.now()
        with store_errors():
            async with self._engine.connect() as connection:
                mark = await managed.mark(connection)
                if mark == self._mark and all(one.until is None or now < one.until for one in self._opened.values()):
                    return len(self.told) - len(self._file)
                rows = [row for row in await managed.made_by_api(connection) if row.name not in self._names]
        self._opened = {row.id: self._open(row, now) for row in rows}
        self._mark = mark
        made = [*self._file, *(one.policy for one in self._opened.values() if one.policy is not None)]
        if made != self.told:
            self.told = made
            self._adopt(made)
        return len(made) - len(self._file)

    def _open(self, row: Managed, now: datetime) -> _Opened:
        known = self._opened.get(row.id)
        if known is not None and known.is_good(row, now):
            return known
        assert row.sealed is not None
        try:
            credentials = Credentials.opened(self._vault, row.name, row.sealed)
            ends = [one.until for one in credentials.secrets if one.until is not None and now < one.until]
            return _Opened(row, parts.policy_of(delivered(row, self._vault, now)), min(ends, default=None))
        except BridgeError as error:
            # The others are to be delivered to all the same; this one waits, and loses nothing.
            log.error("destination.unusable", destination=row.name, error=str(error))
            return _Opened(row, None, None)
