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

LOOKED_AT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span and what is known of it. ``detail`` says how: the read, its anchors, its time."""

    span: Span
    verdict: Literal["proof", "loss"]
    detail: dict[str, Any]


class OnRecord(NamedTuple):
    """Evidence as it was written down; ``refuted_at`` is when an event turned up inside of what it had proven."""

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

_LOSSES_AT = text("""
SELECT first, last FROM evidence
WHERE stream_id = :stream_id AND epoch = :epoch AND verdict = 'loss' AND last >= :lowest AND first <= :highest
""")

# Every span that reaches into another ends at or behind its beginning: from there on the index is read in order.
_OVER = text("""
SELECT id, first, last, verdict, detail, recorded_at, refuted_at
FROM (SELECT * FROM evidence WHERE stream_id = :stream_id AND epoch = :epoch AND last >= :lowest
      ORDER BY last LIMIT :looked_at) AS near
WHERE first <= :highest ORDER BY id DESC LIMIT :limit
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


async def losses(conn: Executes, *, stream_id: int, epoch: int, lowest: int, highest: int) -> Coverage:
    """What is on record as lost between two numbers."""
    values = {"stream_id": stream_id, "epoch": epoch, "lowest": lowest, "highest": highest}
    rows = await conn.execute(_LOSSES_AT, values)
    return Coverage.of(Span.inclusive(first, last) for first, last in rows)


async def over(
    conn: Executes, *, stream_id: int, epoch: int, lowest: int, highest: int, limit: int
) -> list[OnRecord]:
    """What is on record of the numbers between two, the newest first. Far behind them nothing is looked for."""
    values = {"stream_id": stream_id, "epoch": epoch, "lowest": lowest, "highest": highest}
    rows = await conn.execute(_OVER, {**values, "limit": limit, "looked_at": LOOKED_AT_MAX})
    return [OnRecord(*row) for row in rows]


async def refute(conn: Executes, *, stream_id: int, epoch: int, sequences: Sequence[int], now: datetime) -> None:
    """Mark the proofs that an event of ``sequences`` turned up inside of."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequences": list(sequences), "now": now}
    await conn.execute(_REFUTE, values)
