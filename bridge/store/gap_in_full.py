"""One gap in full: how it stands, what is on record of its span, and every read that was tried for it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from bridge.core.span import Span
from bridge.store import evidence, gaps, reads
from bridge.store.direct import Executes
from bridge.store.evidence import Recorded
from bridge.store.gaps import Gap, moments
from bridge.store.reads import Read

EVIDENCE_MAX = 1_000
"""Rows of evidence that are looked at from the beginning of the gap on."""


class GapInFull(NamedTuple):
    """The evidence is in the order in which it was found, the reads are the newest first."""

    gap: Gap
    evidence: Sequence[Recorded]
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
    gap = await gaps.read(conn, stream_id=stream_id, gap_id=gap_id)
    if gap is None:
        return None
    known = await evidence.touching(
        conn, stream_id=stream_id, epoch=gap.epoch, span=Span.inclusive(gap.first, gap.last), limit=EVIDENCE_MAX
    )
    return GapInFull(gap, known, await reads.of_gap(conn, gap_id=gap_id, before=before, limit=limit))
