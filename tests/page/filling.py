"""A bridge's tables as they are on a bad day, filled by statement: something of everything that a page shows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.core.budget import Left
from bridge.core.event import Kind, digest_of
from bridge.core.lag import Lag
from bridge.store import budgets, reads, streams
from bridge.store.entries import Entry
from bridge.store.finish import finish
from bridge.store.reads import Read
from bridge.store.streams import Stream
from bridge.store.tables.incoming import events
from tests.logs import append_events, make_stream

HOSTILE = "pb.\u202e<img src=x onerror=alert(1)>\"'&"
"""A name that no stream can have by the configuration, and that turns the text after it."""
PAYLOAD = b'{"price": 1.10, "size": 3e2, "note": "</script><script>alert(1)</script>", "who": "\xe2\x80\xae"}'
ONE_GAP = b'{"first":41,"last":44,"reason":"the venue has forgotten it"}'


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the browser counts by the machine's clock


@dataclass(frozen=True, slots=True)
class Day:
    """What was filled in: ids of gaps by what they are."""

    stream: str
    open_gap: int
    lost_gap: int


async def fill(engine: AsyncEngine) -> Day:
    """One numbered stream with every kind of gap, one in time, a quiet one, and a hostile one."""
    await append_events(engine, HOSTILE, 3, type_="<b>bold</b>", keys=("\u202ekey",), payload=HOSTILE.encode())
    await append_events(engine, "po.wallet", 5)
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        await _events(conn, stream)
        day = await _numbered(conn)
        await _in_time(conn)
        await _around(conn)
    return day


async def gap(
    conn: AsyncConnection,
    stream: str,
    first: int,
    last: int,
    *,
    state: str = "open",
    axis: str = "sequence",
    opened: timedelta = timedelta(minutes=4),
    expires: timedelta | None = timedelta(hours=2),
    withheld: str | None = None,
    found: int = 0,
    lost: int = 0,
    healed_by: str | None = None,
) -> int:
    """A gap that was opened so long ago; its id."""
    values = {
        "stream": stream, "first": first, "last": last, "state": state, "axis": axis, "opened_at": now() - opened,
        "deadline_at": None if expires is None else now() + expires, "withheld": withheld, "found": found,
        "closed_at": None if state == "open" else now() - opened / 2, "lost": lost, "healed_by": healed_by,
    }  # fmt: skip
    made = await conn.execute(
        text("""
INSERT INTO gaps (stream_id, epoch, first, last, state, axis, opened_at, due_at, deadline_at, reads, withheld,
                  closed_at, found, lost, healed_by)
SELECT id, epoch, :first, :last, :state, :axis, :opened_at, :opened_at, :deadline_at, 3, :withheld,
       :closed_at, :found, :lost, :healed_by FROM streams WHERE name = :stream RETURNING id"""),
        values,
    )
    return int(made.scalar_one())


async def _events(conn: AsyncConnection, stream: Stream) -> None:
    """Numbers 1 to 420 but for a loss, a void, and what is open: told up to 360, and heard behind that."""
    known = [n for n in range(1, 421) if not 41 <= n <= 44 and not 201 <= n <= 220 and not 361 <= n <= 372]
    rows = [
        {
            "stream_id": stream.id, "epoch": 1, "sequence": n, "event_id": f"event-{n}", "type": "ORDER_MATCHED",
            "key": f"market-{n % 3}", "transport": ("webhook", "websocket", "replay")[n % 3], "payload": PAYLOAD,
            "digest": digest_of(PAYLOAD), "occurred_at": now() - timedelta(seconds=500 - n),
            "received_at": now() - timedelta(seconds=499 - n),
        }
        for n in known
    ]  # fmt: skip
    await conn.execute(insert(events), rows)
    told = [Entry(Kind.EVENT, n, digest_of(PAYLOAD)) for n in known if n <= 360]
    told.insert(40, Entry.told(Kind.GAP, ONE_GAP))
    begun = replace(await streams.lock(conn, stream.id), base=1, frontier=361, head=420, void=20, lost=4, gaps_open=1)
    await finish(conn, begun, entries=told, told=Counter(), first=Counter(), lag=Lag(), now=now())


async def _numbered(conn: AsyncConnection) -> Day:
    for verdict, first, last, detail in (
        ("proof", 190, 230, '{"read": "2026-02-18T23:00:00Z", "rows": 21, "anchors": [190, 230]}'),
        ("loss", 41, 44, '{"oldest": 45, "read": "again", "by": "<script>alert(1)</script>"}'),
    ):
        await conn.execute(
            text("""
INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
SELECT id, 1, :first, :last, :verdict, CAST(:detail AS jsonb), :now FROM streams WHERE name = 'pb.events'"""),
            {"first": first, "last": last, "verdict": verdict, "detail": detail, "now": now()},
        )
    lost = await gap(conn, "pb.events", 41, 44, state="lost", lost=4, opened=timedelta(hours=5))
    await gap(conn, "pb.events", 201, 220, state="void", opened=timedelta(hours=1))
    await gap(
        conn, "pb.events", 300, 309, state="recovered", found=10, healed_by="replay", opened=timedelta(minutes=50)
    )
    tried = [
        Read(
            now() - timedelta(minutes=3),
            "tail",
            since=350,
            reached=420,
            pages=2,
            rows=40,
            fresh=4,
            withheld="settled",
        ),
        Read(now() - timedelta(minutes=2), "proof", since=350, upto=372, error="the venue answered HTTP 503 <b>"),
        Read(
            now() - timedelta(minutes=1),
            "proof",
            since=350,
            upto=372,
            reached=372,
            pages=1,
            rows=10,
            withheld="stable",
        ),
    ]
    stream_id = (await conn.execute(text("SELECT id FROM streams WHERE name = 'pb.events'"))).scalar_one()
    await reads.insert(conn, stream_id=stream_id, epoch=1, made=tried)
    opened = await gap(conn, "pb.events", 361, 372, withheld="settled", expires=timedelta(minutes=31))
    return Day("pb.events", opened, lost)


async def _in_time(conn: AsyncConnection) -> None:
    stream = await streams.ensure(conn, name="po.orders", source="po", numbering="bridge", settle_s=2.0)
    began = now() - timedelta(days=1)
    await conn.execute(
        text("UPDATE streams SET epoch_began_at = :began WHERE id = :id"), {"began": began, "id": stream.id}
    )
    await conn.execute(
        text("""
INSERT INTO follows (stream_id, model, repair, reach, unnoticed, settled_until, state)
VALUES (:id, 'time', 'lists', '7 days', NULL, :settled, 'subscribed')"""),
        {"id": stream.id, "settled": now() - timedelta(seconds=12)},
    )
    for state, ago, length in (("superseded", 40, 120), ("lost", 25, 45), ("open", 3, 20)):
        first = int((now() - timedelta(minutes=ago)).timestamp() * 1000)
        await gap(
            conn, "po.orders", first, first + length * 1000, axis="time", state=state, expires=None,
            opened=timedelta(minutes=ago), lost=length * 1000 if state == "lost" else 0,
        )  # fmt: skip


async def _around(conn: AsyncConnection) -> None:
    """Sockets, what was heard, destinations and their cursors, and alerts."""
    until = now() + timedelta(hours=1)
    for source, state, detail in (("pb", "connected", ""), ("po", "disconnected", "closed by <the venue> (1006)")):
        await conn.execute(
            text(
                "INSERT INTO connections (source, state, detail, changed_at) VALUES (:source, :state, :detail, :at)"
            ),
            {"source": source, "state": state, "detail": detail, "at": now() - timedelta(minutes=7)},
        )
        await conn.execute(
            text("INSERT INTO leases (name, holder, fence, until) VALUES (:name, 'test', 1, :until)"),
            {"name": f"source:{source}", "until": until},
        )
    left = {"replay": Left(10.0, 20.0, 7.0, 0.0), "orders": Left(2.0, 4.0, 0.0, 4_000.0)}
    await budgets.put(conn, source="pb", left=left, now=now())
    for transport, ago_s in (("webhook", 2), ("websocket", 1), ("replay", 40)):
        await conn.execute(
            text("""
INSERT INTO heard (stream_id, transport, events, first, last_at)
SELECT id, :transport, 100, 50, :at FROM streams WHERE name = 'pb.events'
ON CONFLICT (stream_id, transport) DO UPDATE SET last_at = excluded.last_at"""),
            {"transport": transport, "at": now() - timedelta(seconds=ago_s)},
        )
    for name, state, reason, behind in (
        ("audit", "active", None, 0),
        ("books", "active", None, 60),
        ("ledger", "stopped", "it answered 410", 120),
    ):
        await destination(conn, name, state=state, reason=reason, streams=["pb.events", "po.wallet"], behind=behind)
    for rule, subject, severity, sentence in (
        ("stopped", "ledger", "critical", "ledger is stopped: it answered 410"),
        ("gap_deadline", "pb.events", "warning", "pb.events has used 62 % of the time until the venue may forget"),
    ):
        await conn.execute(
            text("""
INSERT INTO alerts (rule, subject, severity, sentence, figures, first_at, last_at)
VALUES (:rule, :subject, :severity, :sentence, '{}', :at, :at)"""),
            {
                "rule": rule,
                "subject": subject,
                "severity": severity,
                "sentence": sentence,
                "at": now() - timedelta(minutes=9),
            },
        )


async def destination(
    conn: AsyncConnection,
    name: str,
    *,
    streams: Sequence[str],
    state: str = "active",
    reason: str | None = None,
    behind: int = 0,
) -> None:
    """One that is ``behind`` on each of ``streams``, and fails if it is."""
    await conn.execute(
        text("INSERT INTO destinations (name, state, reason, changed_at) VALUES (:name, :state, :reason, :at)"),
        {"name": name, "state": state, "reason": reason, "at": now() - timedelta(minutes=30)},
    )
    await conn.execute(
        text("""
INSERT INTO cursors (destination_id, stream_id, position, sent, due_at, failures, failing_since, last_error)
SELECT d.id, s.id, greatest(0, s.position - :behind), greatest(0, s.position - :behind), :at, :failures, :since,
       :error
FROM destinations d, streams s WHERE d.name = :name AND s.name = ANY (CAST(:streams AS text[]))"""),
        {
            "name": name, "streams": list(streams), "behind": behind, "at": now(), "failures": 4 if behind else 0,
            "since": now() - timedelta(minutes=6) if behind else None, "error": "answered 503" if behind else None,
        },
    )  # fmt: skip
