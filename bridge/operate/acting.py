"""One act of an operator: the transaction it is done in, who does it, and what that may be done with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.config.shapes import Destination
from bridge.operate.faults import Unknown
from bridge.store import audit, managed
from bridge.store.managed import Managed
from bridge.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Acting:
    """``file`` are the destinations of the configuration file, by name."""

    conn: AsyncConnection
    actor: str
    now: datetime
    vault: Vault
    file: Mapping[str, Destination]

    async def note(self, action: str, subject: str, **detail: object) -> None:
        """Put the act on record. ``detail`` must hold no secret."""
        await audit.note(self.conn, actor=self.actor, action=action, subject=subject, detail=detail, now=self.now)

    async def known(self, name: str, *, lock: bool = False) -> Managed:
        """The destination, to be looked at. Raises Unknown."""
        # Postgres takes no NUL in a text.
        found = None if "\0" in name else await managed.read(self.conn, name, lock=lock)
        if found is None:
            raise Unknown(f"no destination {printable(name)} is known")
        return found

    async def destination(self, name: str) -> Managed:
        """The destination, locked until the end of the transaction. Raises Unknown."""
        return await self.known(name, lock=True)


def printable(name: str) -> str:
    """A name that nobody knows, as it may be shown."""
    return "".join(sign if sign.isprintable() else " " for sign in name[:64])
