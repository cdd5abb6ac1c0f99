"""One gap in full: how it stands, what is on record of its span, and every read that was tried for it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from bridge.store import evidence, gaps, reads
from bridge.store.direct import Executes
from bridge.store.evidence import OnRecord
from bridge.store.gaps import Gap, moments
from bridge.store.reads import Read

EVIDENCE_MAX = 1_000
"""Rows of evidence that are told of one gap."""


class GapInFull(NamedTuple):
    """Evidence and reads are the newest first."""

    gap: Gap
    evidence: Sequence[OnRecord]
    reads: Sequence[Read]

    def fields(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "gap": asdict(self.gap) | moments(self.gap),
            "evidence": [one._asdict() for one in self.evidence],
            "reads": [one._asdict() for one in self.reads],
        }


async def read(
    conn: Executes, *, stream_id: int, gap_id: int, before: int | None = None, limit: int
) -> GapInFull | None:
    """The gap of that id, if the stream has one; at most ``limit`` reads, with ``before`` only older ones."""
    gap = await gaps.one(conn, stream_id=stream_id, gap_id=gap_id)
    if gap is None:
        return None
    known = await evidence.over(
        conn, stream_id=stream_id, epoch=gap.epoch, lowest=gap.first, highest=gap.last, limit=EVIDENCE_MAX
    )
    return GapInFull(gap, known, await reads.of_gap(conn, gap_id=gap_id, before=before, limit=limit))
