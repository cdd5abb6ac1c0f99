"""The venue's side of a report: what the audits that ended in the period laid beside what the bridge holds."""

from collections.abc import Sequence

from msgspec import structs

from bridge.report.period import Period
from bridge.report.shape import AuditCounts, StreamReport
from bridge.store import audits
from bridge.store.direct import Executes
from bridge.store.streams import Stream


async def audited(
    conn: Executes, piece: Sequence[Stream], made: Sequence[StreamReport], period: Period
) -> list[StreamReport]:
    """Each report of ``made``, which are those of ``piece`` in order, with the audits of its stream."""
    found = await audits.figures(conn, [stream.id for stream in piece], since=period.since, until=period.until)
    return [
        structs.replace(one, audits=AuditCounts(**found[stream.id]._asdict())) if stream.id in found else one
        for stream, one in zip(piece, made, strict=True)
    ]
