"""Renewing the key that secrets are kept with."""

from dataclasses import dataclass

from bridge.operate.acting import Acting
from bridge.store import idempotency, managed

SEALED = b"s"
PLAIN = b"p"
"""What a kept answer begins with."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many of each were sealed with the newest key."""

    destinations: int
    answers: int


async def reseal(act: Acting) -> Resealed:
    """Seal all that is sealed with the newest key. Raises NoSecretKey, WrongSecretKey: nothing is changed then."""
    act.vault.seal(b"")
    found = await managed.made_by_api(act.conn, lock=True)
    for one in found:
        assert one.sealed is not None
        await managed.reseal(act.conn, one, act.vault.rotate(one.sealed))
    answers = [one for one in await idempotency.answers(act.conn) if one[2][:1] == SEALED]
    for actor, key, answer in answers:
        await idempotency.reseal(act.conn, actor, key, SEALED + act.vault.rotate(answer[1:]))
    await act.note("secrets.rotated", "BRIDGE_SECRET_KEY", destinations=len(found), answers=len(answers))
    return Resealed(len(found), len(answers))
