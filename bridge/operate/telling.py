"""What is told of destinations: their policy, their state and their health, without any secret."""

from datetime import datetime
from typing import Any

from bridge.core.errors import BridgeError
from bridge.operate.acting import Acting
from bridge.operate.credentials import Credentials, shown
from bridge.operate.policies import public
from bridge.store import managed, standing
from bridge.store.managed import Managed
from bridge.store.standing import Standing, Total

STREAMS_MAX = 1_000

Told = dict[str, Any]


async def one(act: Acting, name: str, *, after: str = "", limit: int = STREAMS_MAX) -> Told:
    """The destination, and how it stands on the first of its streams: of those behind ``after``, by name.

    ``next`` is what to give as ``after`` for those that follow. Raises Unknown.
    """
    found = await act.known(name)
    stands = await standing.cursors(act.conn, found.id, after=after, limit=limit)
    streams = {"streams": [_stream(each) for each in stands], "next": stands[-1].stream if stands else after}
    return await summary(act, found) | streams


async def summary(act: Acting, found: Managed) -> Told:
    """The destination over all of its streams."""
    return _told(act, found, (await standing.totals(act.conn, [found.id], now=act.now))[found.id])


async def many(act: Acting, *, after: str = "", limit: int = managed.ROWS_MAX) -> list[Told]:
    """Destinations in the order of their names, those behind ``after``."""
    found = await managed.listing(act.conn, after=after, limit=limit)
    totals = await standing.totals(act.conn, [each.id for each in found], now=act.now)
    return [_told(act, each, totals[each.id]) for each in found]


def _told(act: Acting, found: Managed, total: Total) -> Told:
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
        "health": _health(total, act.now),
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


def _health(total: Total, now: datetime) -> Told:
    oldest = total.oldest_at
    return {
        "behind": total.behind,
        "oldest_undelivered_at": oldest,
        "oldest_undelivered_age_s": None if oldest is None else round((now - oldest).total_seconds(), 3),
        "failures": total.failures,
        "failing_since": total.failing_since,
        "next_try_at": total.next_try_at,
        "parked": total.parked,
        "delivered_per_minute": round(total.delivered_per_s(now) * 60, 3),
    }


def _stream(each: Standing) -> Told:
    first, last = each.expired_first, each.expired_last
    return {
        "stream": each.stream,
        "position": each.position,
        "head": each.head,
        "behind": each.behind,
        "failures": each.failures,
        "failing_since": each.failing_since,
        "last_error": each.last_error,
        "next_try_at": each.next_try_at,
        "oldest_at": each.oldest_at,
        "expired": None if first is None else {"first": first, "last": last},
    }
