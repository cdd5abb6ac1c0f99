"""What is told of destinations: their policy, their state and their health, without any secret."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.errors import BridgeError
from bridge.operate.acting import Acting
from bridge.operate.credentials import Credentials, shown
from bridge.operate.policies import public
from bridge.store import managed, standing
from bridge.store.managed import Managed
from bridge.store.standing import Standing

Told = dict[str, Any]


async def one(act: Acting, name: str) -> Told:
    """The destination, and how it stands on each of its streams. Raises Unknown."""
    found = await act.known(name)
    stands = await standing.cursors(act.conn, [found.id])
    told = _told(act, found, stands, await _parked(act.conn, found))
    return told | {"streams": [_stream(each) for each in stands]}


async def many(act: Acting, *, after: str = "", limit: int = managed.ROWS_MAX) -> list[Told]:
    """Destinations in the order of their names, those behind ``after``."""
    found = await managed.listing(act.conn, after=after, limit=limit)
    ids = [each.id for each in found]
    stands = await standing.cursors(act.conn, ids)
    waiting = await standing.parked(act.conn, ids)
    by_id: dict[int, list[Standing]] = {each: [] for each in ids}
    for each in stands:
        by_id[each.destination_id].append(each)
    return [_told(act, each, by_id[each.id], waiting.get(each.id, 0)) for each in found]


async def _parked(conn: AsyncConnection, found: Managed) -> int:
    return (await standing.parked(conn, [found.id])).get(found.id, 0)


def _told(act: Acting, found: Managed, stands: Sequence[Standing], parked: int) -> Told:
    configured = act.file.get(found.name)
    url, secrets = _credentials(act, found)
    return {
        "name": found.name,
        "origin": found.origin,
        "configured": configured is not None or found.sealed is not None,
        "state": found.state,
        "reason": found.reason,
        "version": found.version,
        "changed_at": found.changed_at,
        "url": url,
        "secrets": secrets,
        "policy": dict(found.policy) if configured is None else public(configured),
        "health": _health(stands, parked, act.now),
    }


def _credentials(act: Acting, found: Managed) -> tuple[str | None, list[Told]]:
    """Where it is, and how many secrets are good until when; nothing where that is not to be had."""
    configured = act.file.get(found.name)
    if configured is not None:
        return shown(configured.url), [{"until": None} for _ in configured.secrets]
    if found.sealed is None:
        return None, []
    try:
        opened = Credentials.opened(act.vault, found.name, found.sealed)
    except BridgeError:
        return None, []
    valid = opened.valid(act.now)
    return shown(opened.url), [{"until": each.until} for each in opened.secrets if each.key in valid]


def _health(stands: Sequence[Standing], parked: int, now: datetime) -> Told:
    late = [each for each in stands if each.behind > 0]
    oldest = min((each.oldest_at for each in late if each.oldest_at is not None), default=None)
    failing = [each for each in stands if each.failures > 0]
    return {
        "behind": sum(each.behind for each in late),
        "oldest_undelivered_at": oldest,
        "oldest_undelivered_age_s": None if oldest is None else round((now - oldest).total_seconds(), 3),
        "failures": max((each.failures for each in failing), default=0),
        "failing_since": min((each.failing_since for each in failing if each.failing_since), default=None),
        "next_try_at": min((each.next_try_at for each in failing), default=None),
        "parked": parked,
    }


def _stream(each: Standing) -> Told:
    told = asdict(each) | {"behind": each.behind}
    first, last = told.pop("expired_first"), told.pop("expired_last")
    del told["destination_id"]
    return told | {"expired": None if first is None else {"first": first, "last": last}}
