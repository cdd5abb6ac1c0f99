"""Evidence: the spans of a stream that a read proved complete, or that are lost for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from bridge.core.coverage import Coverage
from bridge.core.span import Span
from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span and what is known of it. ``detail`` says how: the read, its anchors, its time."""

    span: Span
    verdict: Literal["proof", "loss"]
    detail: dict[str, Any]


class Recorded(NamedTuple):
    """What is on record of a span. A proof was refuted when an event turned up in it that it had missed."""

    id: int
    first: int
    last: int
    verdict: str
    detail: dict[str, Any]
    recorded_at: datetime
    refuted_at: datetime | None


_INSERT = text("""
INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
VALUES (:stream_id, :epoch, :first, :last, :verdict, :detail, :recorded_at)
""").bindparams(bindparam("detail", type_=JSONB))

_ABOVE = text("""
SELECT first, last, verdict, detail FROM evidence
WHERE stream_id = :stream_id AND epoch = :epoch AND last >= :frontier
""")

# Proofs follow each other: those that reach a span are the next ones that end behind its beginning.
_TOUCHING = text("""
SELECT id, first, last, verdict, detail, recorded_at, refuted_at
FROM (SELECT * FROM evidence WHERE stream_id = :stream_id AND epoch = :epoch AND last >= :lowest
      ORDER BY last LIMIT :limit) AS near
WHERE first <= :highest ORDER BY recorded_at, id
""")

_LOSSES_AT = text("""
SELECT first, last FROM evidence
WHERE stream_id = :stream_id AND epoch = :epoch AND verdict = 'loss' AND last >= :lowest AND first <= :highest
""")

_REFUTE = text("""
UPDATE evidence SET refuted_at = :now
WHERE stream_id = :stream_id AND epoch = :epoch AND verdict = 'proof' AND refuted_at IS NULL
  AND EXISTS (SELECT 1 FROM unnest(CAST(:sequences AS bigint[])) AS late (number)
              WHERE number BETWEEN first AND last)
""")


async def insert(conn: Executes, *, stream_id: int, epoch: int, found: Sequence[Evidence], now: datetime) -> None:
    values = [
        {
            "stream_id": stream_id,
            "epoch": epoch,
            "first": item.span.first,
            "last": item.span.last,
            "verdict": item.verdict,
            "detail": item.detail,
            "recorded_at": now,
        }
        for item in found
    ]
    await conn.execute(_INSERT, values)


async def above(conn: Executes, *, stream_id: int, epoch: int, frontier: int) -> list[Evidence]:
    """Everything on record that reaches to ``frontier`` or beyond."""
    rows = await conn.execute(_ABOVE, {"stream_id": stream_id, "epoch": epoch, "frontier": frontier})
    return [Evidence(Span.inclusive(first, last), verdict, detail) for first, last, verdict, detail in rows]


async def touching(conn: Executes, *, stream_id: int, epoch: int, span: Span, limit: int) -> list[Recorded]:
    """What is on record of a span or a part of it, the oldest first; at most ``limit`` rows are looked at."""
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "lowest": span.first,
        "highest": span.last,
        "limit": limit,
    }
    return [Recorded(*row) for row in await conn.execute(_TOUCHING, values)]


async def losses(conn: Executes, *, stream_id: int, epoch: int, lowest: int, highest: int) -> Coverage:
    """What is on record as lost between two numbers."""
    values = {"stream_id": stream_id, "epoch": epoch, "lowest": lowest, "highest": highest}
    rows = await conn.execute(_LOSSES_AT, values)
    return Coverage.of(Span.inclusive(first, last) for first, last in rows)


async def refute(conn: Executes, *, stream_id: int, epoch: int, sequences: Sequence[int], now: datetime) -> None:
    """Mark the proofs that an event of ``sequences`` turned up inside of."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequences": list(sequences), "now": now}
    await conn.execute(_REFUTE, values)
