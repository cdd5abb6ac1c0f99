"""Audits: each pass over what a venue retains, how far it has got, and what it found to differ."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.direct import Executes

NAMED_MAX = 100
"""Numbers of each kind of difference that a pass names."""
ERROR_CHARS_MAX = 300

Why = Literal["sweep", "asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One pass. ``first`` and ``last`` are what it has looked at: numbers, or milliseconds since 1970.

    ``fresh`` counts events that were missing with us and had been taken for absent or lost, ``conflicts`` other
    content, ``unlisted`` what we hold and the venue does not list; ``named`` are the first of each. ``error`` says
    why it could not go on, for one that is under way since when it could not.
    """

    id: int = 0
    epoch: int = 1
    why: str = "sweep"
    began_at: datetime
    ended_at: datetime | None = None
    first: int | None = None
    last: int | None = None
    pages: int = 0
    rows: int = 0
    fresh: int = 0
    conflicts: int = 0
    unlisted: int = 0
    named: Mapping[str, list[int]] = field(default_factory=dict)
    error: str | None = None

    @property
    def differs(self) -> bool:
        """Whether the two sides did not hold the same."""
        return self.fresh > 0 or self.conflicts > 0 or self.unlisted > 0

    def further(self, listed: Sequence[int], found: "Differing") -> "Audit":
        """The pass with one more page: the numbers that it ``listed``, and those ``found`` to differ.

        What was missing is not among them: that is counted with the commit that stores it (``brought``).
        """
        numbers = {"conflicts": found.conflicts, "unlisted": found.unlisted}
        more = {kind: [*self.named.get(kind, ()), *some][:NAMED_MAX] for kind, some in numbers.items()}
        return replace(
            self,
            first=min([*listed, *_known(self.first)], default=None),
            last=max([*listed, *_known(self.last)], default=None),
            pages=self.pages + 1,
            rows=self.rows + len(listed),
            conflicts=self.conflicts + len(found.conflicts),
            unlisted=self.unlisted + found.unlisted_in_all,
            named={**self.named, **{kind: some for kind, some in more.items() if some}},
            error=None,
        )


def _known(number: int | None) -> list[int]:
    return [] if number is None else [number]


class Differing(NamedTuple):
    """The numbers of a page on which the two sides differ; of those that are unlisted perhaps only the first."""

    conflicts: Sequence[int] = ()
    unlisted: Sequence[int] = ()
    unlisted_in_all: int = 0


class Figures(NamedTuple):
    """The passes of a stream that ended in a period. ``failed`` of them could not be finished."""

    passes: int = 0
    failed: int = 0
    rows: int = 0
    fresh: int = 0
    conflicts: int = 0
    unlisted: int = 0
    last_at: datetime | None = None


_COLUMNS = "id, epoch, why, began_at, ended_at, first, last, pages, rows, fresh, conflicts, unlisted, named, error"

_ABANDON = text("""
UPDATE audits SET ended_at = :now, error = coalesce(error, 'it was not finished')
WHERE stream_id = :stream_id AND why = :why AND ended_at IS NULL
""")

_INSERT = text("""
INSERT INTO audits (stream_id, epoch, why, began_at, ended_at, first, last, pages, rows, fresh, conflicts, unlisted,
                    named, error)
VALUES (:stream_id, :epoch, :why, :began_at, :ended_at, :first, :last, :pages, :rows, :fresh, :conflicts, :unlisted,
        :named, :error)
RETURNING id
""").bindparams(bindparam("named", type_=JSONB))

_SAVE = text(f"""
UPDATE audits SET ended_at = :ended_at, first = :first, last = :last, pages = :pages, rows = :rows,
    conflicts = :conflicts, unlisted = :unlisted, error = :error,
    named = jsonb_strip_nulls(jsonb_build_object('fresh', named -> 'fresh')) || :named
WHERE id = :id AND ended_at IS NULL
RETURNING {_COLUMNS}
""").bindparams(bindparam("named", type_=JSONB))

_BROUGHT = text("""
UPDATE audits SET fresh = fresh + cardinality(CAST(:numbers AS bigint[])),
    named = named || jsonb_build_object('fresh', (
        SELECT jsonb_agg(number ORDER BY nth) FROM (
            SELECT number, nth
            FROM jsonb_array_elements(coalesce(named -> 'fresh', '[]') || to_jsonb(CAST(:numbers AS bigint[])))
                 WITH ORDINALITY AS one (number, nth)
            ORDER BY nth LIMIT :named_max) AS first))
WHERE id = :id
""")

_UNDER_WAY = text(f"""
SELECT {_COLUMNS} FROM audits WHERE stream_id = :stream_id AND why = :why AND ended_at IS NULL
""")

_LIST = text(f"""
SELECT {_COLUMNS} FROM audits WHERE stream_id = :stream_id AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")

_READ_TO = text("""
SELECT last FROM audits WHERE stream_id = :stream_id AND ended_at IS NOT NULL AND error IS NULL
ORDER BY id DESC LIMIT 1
""")

_FIGURES = text("""
SELECT stream_id, count(*), count(error), CAST(sum(rows) AS bigint), CAST(sum(fresh) AS bigint),
       CAST(sum(conflicts) AS bigint), CAST(sum(unlisted) AS bigint), max(ended_at) FILTER (WHERE error IS NULL)
FROM audits WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND ended_at >= :since AND ended_at < :until
GROUP BY stream_id
""")


async def begin(conn: Executes, *, stream_id: int, epoch: int, why: Why, now: datetime) -> Audit:
    """Begin a pass. One of the same kind that was left open is ended: its reader is gone."""
    await conn.execute(_ABANDON, {"stream_id": stream_id, "why": why, "now": now})
    begun = Audit(epoch=epoch, why=why, began_at=now)
    return replace(begun, id=(await conn.execute(_INSERT, _values(stream_id, begun))).scalar_one())


async def under_way(conn: Executes, *, stream_id: int, why: Why) -> Audit | None:
    """The pass that has not ended."""
    rows = list(await conn.execute(_UNDER_WAY, {"stream_id": stream_id, "why": why}))
    return _audit(rows[0]) if rows else None


async def save(conn: Executes, audit: Audit) -> Audit | None:
    """Write down how far a pass has got, all but what was missing. None if somebody else has ended it."""
    values = _values(0, audit)
    del values["stream_id"], values["epoch"], values["why"], values["began_at"], values["fresh"]
    named = {kind: some for kind, some in audit.named.items() if kind != "fresh"}
    rows = list(await conn.execute(_SAVE, values | {"id": audit.id, "named": named}))
    return _audit(rows[0]) if rows else None


async def brought(conn: Executes, *, audit_id: int, numbers: Sequence[int]) -> None:
    """Count what a pass found missing, in the transaction that stores it: a crash behind it forgets nothing."""
    await conn.execute(_BROUGHT, {"id": audit_id, "numbers": list(numbers), "named_max": NAMED_MAX})


async def add(conn: Executes, *, stream_id: int, audit: Audit) -> None:
    """Keep a pass that was made in one go."""
    await conn.execute(_INSERT, _values(stream_id, audit))


async def read_to(conn: Executes, *, stream_id: int) -> int | None:
    """How far the newest pass looked of those that could be finished."""
    rows = list(await conn.execute(_READ_TO, {"stream_id": stream_id}))
    return rows[0][0] if rows else None


async def listing(conn: Executes, *, stream_id: int, before: int | None = None, limit: int) -> list[Audit]:
    """Passes, the newest first; with ``before`` those that began before that one."""
    rows = await conn.execute(_LIST, {"stream_id": stream_id, "before": before, "limit": limit})
    return [_audit(row) for row in rows]


async def figures(
    conn: Executes, stream_ids: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, Figures]:
    """What the passes that ended in a period come to, by stream; those without any are left out."""
    values = {"stream_ids": list(stream_ids), "since": since, "until": until}
    rows = await conn.execute(_FIGURES, values)
    return {row[0]: Figures(*row[1:]) for row in rows}


def _values(stream_id: int, audit: Audit) -> dict[str, Any]:
    values = asdict(audit) | {"stream_id": stream_id}
    del values["id"]
    return values | {"error": None if audit.error is None else audit.error[:ERROR_CHARS_MAX]}


def _audit(row: Any) -> Audit:
    return Audit(**dict(zip(_COLUMNS.split(", "), row, strict=True)))
