"""Alerts: the conditions that hold, or held, each with what was last said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Key = tuple[str, str]
"""Rule and subject: what an alert is known by, for as long as it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition. ``id`` is 0 before it is stored.

    ``count`` and the two ``seen`` are of rules that count entries of the log: how many since ``first_at``, and up to
    where the hours were counted. ``noticed_*`` are of the last notice, None where there was none; none is made before
    ``hold_until``.
    """

    id: int = 0
    rule: str
    subject: str
    severity: str
    sentence: str
    figures: Mapping[str, Any]
    count: int = 0
    seen_hour: datetime | None = None
    seen: int = 0
    first_at: datetime
    last_at: datetime
    noticed_at: datetime | None = None
    noticed_severity: str | None = None
    noticed_count: int = 0
    hold_until: datetime | None = None
    resolved_at: datetime | None = None

    @property
    def key(self) -> Key:
        return self.rule, self.subject


_COLUMNS = (
    "id, rule, subject, severity, sentence, figures, count, seen_hour, seen, first_at, last_at, noticed_at,"
    " noticed_severity, noticed_count, hold_until, resolved_at"
)
_QUALIFIED = ", ".join(f"a.{name}" for name in _COLUMNS.split(", "))

_LOCK = text("LOCK TABLE alerts IN SHARE ROW EXCLUSIVE MODE")

_OPEN = text(f"SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NULL ORDER BY rule, subject LIMIT :limit")

_BEFORE = text(f"""
SELECT {_QUALIFIED}
FROM unnest(CAST(:rules AS text[]), CAST(:subjects AS text[])) AS wanted (rule, subject)
CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM alerts WHERE rule = wanted.rule AND subject = wanted.subject
                    ORDER BY id DESC LIMIT 1) a
""")

_LISTING = text(f"""
SELECT {_COLUMNS} FROM alerts WHERE CAST(:resolved AS bool) OR resolved_at IS NULL
ORDER BY resolved_at DESC NULLS FIRST, severity, id LIMIT :limit
""")

_ENDED = text(f"""
SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC, id DESC LIMIT :limit
""")

_GIVEN = """
unnest(CAST(:ids AS bigint[]), CAST(:rules AS text[]), CAST(:subjects AS text[]), CAST(:severities AS text[]),
       CAST(:sentences AS text[]), CAST(CAST(:figures AS text[]) AS jsonb[]), CAST(:counts AS bigint[]),
       CAST(:seen_hours AS timestamptz[]), CAST(:seens AS bigint[]), CAST(:firsts AS timestamptz[]),
       CAST(:lasts AS timestamptz[]), CAST(:noticed_ats AS timestamptz[]), CAST(:noticed_severities AS text[]),
       CAST(:noticed_counts AS bigint[]), CAST(:holds AS timestamptz[]), CAST(:resolveds AS timestamptz[]))
"""

_INSERT = text(f"""
INSERT INTO alerts ({_COLUMNS.removeprefix("id, ")})
SELECT {_COLUMNS.removeprefix("id, ")} FROM {_GIVEN} AS given ({_COLUMNS})
RETURNING id, rule, subject
""")

_UPDATE = text(f"""
UPDATE alerts a SET severity = given.severity, sentence = given.sentence, figures = given.figures,
    count = given.count, seen_hour = given.seen_hour, seen = given.seen, last_at = given.last_at,
    noticed_at = given.noticed_at, noticed_severity = given.noticed_severity, noticed_count = given.noticed_count,
    resolved_at = given.resolved_at
FROM {_GIVEN} AS given ({_COLUMNS}) WHERE a.id = given.id
""")

_FIRING = text("SELECT rule, severity, count(*) FROM alerts WHERE resolved_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2")


async def lock(conn: AsyncConnection) -> None:
    """Let nobody else decide until the transaction ends; whoever only looks is not kept waiting."""
    await conn.execute(_LOCK)


async def open_now(conn: AsyncConnection, *, limit: int) -> list[Alert]:
    """The alerts that are not resolved, by key."""
    return [Alert(**row) for row in (await conn.execute(_OPEN, {"limit": limit})).mappings()]


async def before(conn: AsyncConnection, keys: Sequence[Key]) -> list[Alert]:
    """The newest alert of each of ``keys``, as far as there was one."""
    values = {"rules": [rule for rule, _ in keys], "subjects": [subject for _, subject in keys]}
    return [Alert(**row) for row in (await conn.execute(_BEFORE, values)).mappings()]


async def listing(conn: AsyncConnection, *, resolved: bool, limit: int) -> list[Alert]:
    """Open ones first, the critical before the others; with ``resolved`` then those that are over, newest first."""
    values = {"resolved": resolved, "limit": limit}
    return [Alert(**row) for row in (await conn.execute(_LISTING, values)).mappings()]


async def ended(conn: AsyncConnection, *, limit: int) -> list[Alert]:
    """Those that are over, the newest end first."""
    return [Alert(**row) for row in (await conn.execute(_ENDED, {"limit": limit})).mappings()]


async def firing(conn: AsyncConnection) -> dict[Key, int]:
    """How many are open, by rule and severity."""
    return {(row[0], row[1]): row[2] for row in (await conn.execute(_FIRING)).all()}


async def save(conn: AsyncConnection, changed: Sequence[Alert]) -> dict[Key, int]:
    """Store ``changed``: those without an id are new. Returns the id of each by its key."""
    ids = {alert.key: alert.id for alert in changed if alert.id}
    known = sorted((alert for alert in changed if alert.id), key=lambda alert: alert.id)
    new = sorted((alert for alert in changed if not alert.id), key=lambda alert: alert.key)
    if known:
        await conn.execute(_UPDATE, _given(known))
    if new:
        ids |= {(row[1], row[2]): row[0] for row in (await conn.execute(_INSERT, _given(new))).all()}
    return ids


def _given(alerts: Sequence[Alert]) -> dict[str, list[Any]]:
    return {
        "ids": [one.id for one in alerts],
        "rules": [one.rule for one in alerts],
        "subjects": [one.subject for one in alerts],
        "severities": [one.severity for one in alerts],
        "sentences": [one.sentence for one in alerts],
        "figures": [msgspec.json.encode(one.figures).decode() for one in alerts],
        "counts": [one.count for one in alerts],
        "seen_hours": [one.seen_hour for one in alerts],
        "seens": [one.seen for one in alerts],
        "firsts": [one.first_at for one in alerts],
        "lasts": [one.last_at for one in alerts],
        "noticed_ats": [one.noticed_at for one in alerts],
        "noticed_severities": [one.noticed_severity for one in alerts],
        "noticed_counts": [one.noticed_count for one in alerts],
        "holds": [one.hold_until for one in alerts],
        "resolveds": [one.resolved_at for one in alerts],
    }
