"""How every transaction of the door ends: the log grows, the hearing is counted, the stream is saved.

Four tables in one statement, because each statement costs a round trip while the stream's lock is held.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.core.chain import link
from bridge.core.lag import Lag
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.hours import added, values_of_hour
from bridge.store.streams import ASSIGNMENTS, Stream, values_of

FINISH = text(f"""
WITH appended AS (
    INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain, data)
    SELECT :id, position, kind, epoch, sequence, :now, chain, data
    FROM unnest(CAST(:positions AS bigint[]), CAST(:kinds AS text[]), CAST(:epochs AS int[]),
                CAST(:sequences AS bigint[]), CAST(:chains AS bytea[]), CAST(:data AS bytea[]))
         AS entry (position, kind, epoch, sequence, chain, data)),
counted AS (
    INSERT INTO heard (stream_id, transport, events, first, last_at)
    SELECT :id, transport, told, first, :now
    FROM unnest(CAST(:transports AS text[]), CAST(:told AS bigint[]), CAST(:first AS bigint[]))
         AS telling (transport, told, first)
    ON CONFLICT (stream_id, transport) DO UPDATE
    SET events = heard.events + excluded.events, first = heard.first + excluded.first, last_at = excluded.last_at),
added AS ({added("VALUES", ":id")})
UPDATE streams SET {ASSIGNMENTS} WHERE id = :id
RETURNING xmin
""")


class Finished(NamedTuple):
    """The stream as saved, and the version of its row: every later change of the row has another."""

    stream: Stream
    version: int


async def finish(
    conn: Executes,
    stream: Stream,
    *,
    entries: Sequence[Entry],
    told: Counter[str],
    first: Counter[str],
    now: datetime,
    lag: Lag,
    superseded: int = 0,
) -> Stream:
    """``finished``, for who does not go on from there."""
    done = await finished(
        conn, stream, entries=entries, told=told, first=first, superseded=superseded, lag=lag, now=now
    )
    return done.stream


async def finished(
    conn: Executes,
    stream: Stream,
    *,
    entries: Sequence[Entry],
    told: Counter[str],
    first: Counter[str],
    now: datetime,
    lag: Lag,
    superseded: int = 0,
) -> Finished:
    """Append ``entries`` after the stream's position, each chained to the one before; the stream as saved.

    ``superseded`` of them tell of what a snapshot stands for.
    """
    epochs = [entry.epoch or stream.epoch for entry in entries]
    chain, chains = stream.chain, []
    for position, (entry, epoch) in enumerate(zip(entries, epochs, strict=True), start=stream.position + 1):
        chain = link(chain, position, entry.kind, epoch, entry.sequence, entry.digest)
        chains.append(chain)
    saved = replace(stream, position=stream.position + len(entries), chain=chain)
    transports = sorted(told)
    values = values_of(saved) | {
        "now": now,
        "positions": list(range(stream.position + 1, saved.position + 1)),
        "kinds": [entry.kind.value for entry in entries],
        "epochs": epochs,
        "sequences": [entry.sequence for entry in entries],
        "chains": chains,
        "data": [entry.data for entry in entries],
        "transports": transports,
        "told": [told[transport] for transport in transports],
        "first": [first[transport] for transport in transports],
    }
    kinds = Counter(entry.kind for entry in entries)
    values |= values_of_hour(now, kinds=kinds, told=told, first=first, superseded=superseded, lag=lag)
    return Finished(saved, (await conn.execute(FINISH, values)).scalar_one())
