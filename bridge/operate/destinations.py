"""Making, changing, pausing and forgetting destinations."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bridge.operate.acting import Acting, printable
from bridge.operate.credentials import Credentials, Signing, new_secret, shown
from bridge.operate.faults import Conflict, Invalid
from bridge.operate.policies import built, fields, public
from bridge.store import counters, managed
from bridge.store.managed import Managed

NAME = re.compile(r"[a-z0-9_-]{1,64}")
OVERLAP_S = 86_400.0
OVERLAP_MAX_S = 30 * 86_400.0


class Shown(NamedTuple):
    """A secret that is told this once; None where the caller brought it."""

    name: str
    secret: str | None


async def create(act: Acting, given: Mapping[str, Any]) -> Shown:
    """Make a destination; without a ``secret`` among what is given, one is made.

    Raises:
        Invalid, Conflict, NoSecretKey.
    """
    name = given.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Invalid(("name", "a name is made of a-z, 0-9, _ and -, at most 64 of them"))
    rest = {key: value for key, value in given.items() if key != "name"}
    own = None if rest.get("secret") is not None else new_secret()
    destination = built(name, rest if own is None else {**rest, "secret": own})
    keys = [secret.get_secret_value() for secret in destination.secrets]
    # Of several, all are good for as long as nobody rotates: only then is the older one given an end.
    sealed = Credentials(destination.url, tuple(Signing(key) for key in keys)).sealed(act.vault, name)
    if name in act.file or not await managed.create(
        act.conn, name, policy=public(destination), sealed=sealed, now=act.now
    ):
        raise Conflict(await _why_taken(act, name))
    await act.note("destination.created", name, url=shown(destination.url), policy=public(destination))
    return Shown(name, own)


async def update(act: Acting, name: str, given: Mapping[str, Any]) -> None:
    """Change some fields of a destination. Raises Unknown, Conflict, Invalid, NoSecretKey, WrongSecretKey."""
    found, credentials = await _own(act, name)
    if not given:
        raise Invalid(("", "there is nothing to change"))
    if "secret" in given:
        raise Invalid(("secret", "is changed by a rotation"))
    kept = {**fields(found.policy), "url": credentials.url, "secret": [one.key for one in credentials.secrets]}
    changed = built(name, {**kept, **given})
    sealed = Credentials(changed.url, credentials.secrets).sealed(act.vault, name)
    await managed.update(act.conn, found, policy=public(changed), sealed=sealed, now=act.now)
    before, after = found.policy, public(changed)
    detail = {field: {"from": before.get(field), "to": after[field]} for field in given if field in after}
    if changed.url != credentials.url:
        detail["url"] = {"from": shown(credentials.url), "to": shown(changed.url)}
    await act.note("destination.updated", name, changed=detail)


async def pause(act: Acting, name: str, *, reason: str | None = None) -> None:
    """Deliver nothing more until somebody resumes. Raises Unknown, Conflict."""
    found = await act.destination(name)
    if found.state == "paused":
        raise Conflict(f"the destination {name} is paused already")
    await managed.set_state(act.conn, found, "paused", reason=reason, now=act.now)
    await act.note("destination.paused", name, was=found.state, reason=reason)


async def resume(act: Acting, name: str) -> None:
    """Deliver again, at once, from where it stopped. Raises Unknown, Conflict."""
    found = await act.destination(name)
    if found.state == "active":
        raise Conflict(f"the destination {name} is not stopped, and not paused")
    await managed.set_state(act.conn, found, "active", reason=None, now=act.now)
    await act.note("destination.resumed", name, was=found.state, reason=found.reason)


async def delete(act: Acting, name: str) -> None:
    """Forget a destination, how far it was, and what it parked. Raises Unknown, Conflict."""
    found = await act.destination(name)
    if name in act.file:
        raise Conflict(f"the destination {name} is in the configuration file: take it out there first")
    await managed.delete(act.conn, found)
    await counters.forget(act.conn, name)
    await act.note("destination.deleted", name, origin=found.origin, version=found.version)


async def rotate(act: Acting, name: str, *, secret: str | None = None, overlap_s: float = OVERLAP_S) -> Shown:
    """Sign with a new secret, and for ``overlap_s`` with the former one too.

    Raises:
        Unknown, Conflict, Invalid, NoSecretKey, WrongSecretKey.
    """
    if not 0 <= overlap_s <= OVERLAP_MAX_S:
        raise Invalid(("overlap_s", f"must be a number from 0 to {OVERLAP_MAX_S:.0f}"))
    found, credentials = await _own(act, name)
    own = None if secret is not None else new_secret()
    key = own or secret or ""
    if key in credentials.valid(act.now):
        raise Invalid(("secret", "is in use already"))
    built(name, {**fields(found.policy), "url": credentials.url, "secret": key})
    rotated = credentials.rotated(key, overlap_s=overlap_s, now=act.now)
    sealed = rotated.sealed(act.vault, name)
    await managed.update(act.conn, found, policy=found.policy, sealed=sealed, now=act.now)
    await act.note("destination.rotated", name, overlap_s=overlap_s)
    return Shown(name, own)


async def provision(act: Acting) -> None:
    """A row for every destination of the file. Raises Conflict where the API has made one of that name."""
    taken = await managed.provision(
        act.conn, {name: public(destination) for name, destination in act.file.items()}, now=act.now
    )
    if taken:
        raise Conflict(
            f"the configuration file names destinations that the API has made: {', '.join(taken)}."
            " Delete those with 'bridge destinations delete', or rename them in the file"
        )


async def _own(act: Acting, name: str) -> tuple[Managed, Credentials]:
    """A destination that the API made. Raises Conflict for one of the file."""
    found = await act.destination(name)
    if found.sealed is None or name in act.file:
        raise Conflict(f"the destination {name} is made by the configuration file, and changed only there")
    return found, Credentials.opened(act.vault, name, found.sealed)


async def _why_taken(act: Acting, name: str) -> str:
    if name in act.file:
        return f"the name {name} belongs to a destination of the configuration file"
    found = await managed.read(act.conn, name)
    if found is None:
        return f"there are {managed.ROWS_MAX} destinations already, and no room for more"
    if found.sealed is None:
        return (
            f"the name {printable(name)} belonged to a destination of the configuration file, and how far that was is"
            " still known: delete it first"
        )
    return f"there is a destination {name} already"
