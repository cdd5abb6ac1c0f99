"""Entries that a destination did not take: sent again, or given up, with a name beside it."""

from bridge.operate.acting import Acting, printable
from bridge.operate.faults import Conflict, Unknown
from bridge.store import parked
from bridge.store.managed import Managed
from bridge.store.parked import Parked


async def entry(act: Acting, name: str, stream: str, position: int) -> tuple[Managed, Parked]:
    """The destination, and the entry that it parked. Raises Unknown."""
    found = await act.known(name)
    laid_aside = None if "\0" in stream else await parked.read(act.conn, found.id, stream, position)
    if laid_aside is None:
        raise Unknown(f"the destination {name} has parked no entry {position} of {printable(stream)}")
    return found, laid_aside


async def redeliver(act: Acting, name: str, stream: str, position: int) -> None:
    """Send one entry again, out of its turn. Raises Unknown, Conflict."""
    found, laid_aside = await entry(act, name, stream, position)
    if laid_aside.state != "parked":
        raise Conflict(f"the entry is {laid_aside.state}, not parked")
    if not await parked.want(act.conn, found.id, actor=act.actor, entry=(stream, position)):
        raise await _by_now(act, name, stream, position)
    await act.note("parked.redelivered", name, stream=stream, position=position)


async def redeliver_all(act: Acting, name: str) -> int:
    """Send everything again that is parked; returns how many entries. Raises Unknown."""
    found = await act.known(name)
    wanted = await parked.want(act.conn, found.id, actor=act.actor)
    await act.note("parked.redelivered", name, entries=wanted)
    return wanted


async def discard(act: Acting, name: str, stream: str, position: int, *, reason: str) -> None:
    """Give one entry up for good. Raises Unknown, Conflict."""
    found, _ = await entry(act, name, stream, position)
    given_up = await parked.discard(act.conn, found.id, stream, position, actor=act.actor, reason=reason, now=act.now)
    if not given_up:
        raise await _by_now(act, name, stream, position)
    await act.note("parked.discarded", name, stream=stream, position=position, reason=reason)


async def _by_now(act: Acting, name: str, stream: str, position: int) -> Conflict:
    """What has become of the entry while it was asked for."""
    _, laid_aside = await entry(act, name, stream, position)
    return Conflict(f"the entry is {laid_aside.state} already")
