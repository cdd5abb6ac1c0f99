"""A whole transaction of the door in one statement: one round trip, where there would be five.

It serves where nothing depends on what the database would answer, because all of it is known: the stream is as it
was left, and every event is new. The row's version says whether the first is so. If it is not, nothing happens.
"""

from typing import Any

from sqlalchemy import text

from bridge.store.direct import Executes, Rows, Values
from bridge.store.events import INSERT
from bridge.store.finish import FINISH
from bridge.store.hours import added
from bridge.store.streams import ASSIGNMENTS, LOCK, Stream, values_of

# Who waits for the row sees it as the one before has left it, version and all. An event that is stored already
# breaks the key and takes everything with it.
_PLAIN = text(f"""
WITH moved AS (
    UPDATE streams SET {ASSIGNMENTS} WHERE id = :id AND xmin = CAST(:version AS xid) RETURNING id, xmin),
stored AS (
    INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, occurred_at, received_at,
                        digest, payload)
    SELECT moved.id, :epoch, sequence, event_id, type, key, transport, occurred_at, :now, digest, payload
    FROM moved, unnest(CAST(:numbers AS bigint[]), CAST(:event_ids AS text[]), CAST(:types AS text[]),
                       CAST(:keys AS text[]), CAST(:transports AS text[]), CAST(:occurred AS timestamptz[]),
                       CAST(:digests AS bytea[]), CAST(:payloads AS bytea[]))
         AS heard (sequence, event_id, type, key, transport, occurred_at, digest, payload)),
appended AS (
    INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
    SELECT moved.id, :before + place, 'event', :epoch, sequence, :now, chain
    FROM moved, unnest(CAST(:sequences AS bigint[]), CAST(:chains AS bytea[]))
         WITH ORDINALITY AS entry (sequence, chain, place)),
counted AS (
    INSERT INTO heard (stream_id, transport, events, first, last_at)
    SELECT moved.id, transport, told, first, :now
    FROM moved, unnest(CAST(:ways AS text[]), CAST(:told AS bigint[]), CAST(:first AS bigint[]))
         AS telling (transport, told, first)
    ON CONFLICT (stream_id, transport) DO UPDATE
    SET events = heard.events + excluded.events, first = heard.first + excluded.first, last_at = excluded.last_at),
added AS ({added("SELECT", "moved.id", "FROM moved")})
SELECT xmin FROM moved
""")


class Unforeseen(Exception):
    """The transaction is not plain: it asks for something that only the database knows."""


class Foreseen:
    """In place of a connection: answers what is known of ``stream`` and keeps what is to be written.

    The caller knows that every event it will insert is new, if the stream is still at ``version``.
    """

    def __init__(self, stream: Stream, version: int) -> None:
        self._stream = stream
        self._version = version
        self._inserted: Values = {}
        self._finished: Values = {}

    async def execute(self, statement: Any, parameters: Any = None, /) -> Rows:
        """Raises Unforeseen."""
        if statement is LOCK:
            return Rows([values_of(self._stream)])
        if statement is INSERT:
            self._inserted = parameters
            return Rows([(number,) for number in parameters["sequences"]])
        if statement is FINISH and not any(parameters["data"]) and set(parameters["kinds"]) <= {"event"}:
            self._finished = parameters
            return Rows([(self._version,)])
        raise Unforeseen

    async def carry_out(self, connection: Executes) -> int | None:
        """Write it all, durably; the row's new version, or None if the stream was not as it was left."""
        kept = self._finished
        heard = self._inserted or _NOTHING
        values = {
            **kept,
            **heard,
            "numbers": heard["sequences"],
            "sequences": kept["sequences"],
            "ways": kept["transports"],
            "before": self._stream.position,
            "version": self._version,
        }
        version: int | None = (await connection.execute(_PLAIN, values)).scalar_one_or_none()
        return version


_NOTHING: Values = {
    name: [] for name in ("sequences", "event_ids", "types", "keys", "transports", "occurred", "digests", "payloads")
}
