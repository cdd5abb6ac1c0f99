"""What lies beside the log and is old: proofs, closed gaps, reads, deliveries, alerts, reports. Piece by piece.

None of it is asked for once its numbers are forgotten. What says that something is missing stays: losses, and the
gaps that ended with one. So do the ids of events that the bridge has numbered: they are how a repetition is known.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

_PROOFS = text("""
DELETE FROM evidence WHERE id IN (
    SELECT e.id FROM streams s JOIN evidence e ON e.stream_id = s.id
    WHERE (e.epoch, e.last) < (s.forgotten_epoch, s.forgotten_below)
      AND e.verdict = 'proof' AND e.recorded_at < :before LIMIT :limit)
""")

_GAPS = text("""
DELETE FROM gaps WHERE id IN (
    SELECT id FROM gaps WHERE state IN ('recovered', 'void') AND closed_at < :before ORDER BY id LIMIT :limit)
""")

# The oldest rows come first by their ids.
_READS = text("""
DELETE FROM reads WHERE id IN (
    SELECT id FROM (SELECT id, at FROM reads ORDER BY id LIMIT :limit) AS oldest WHERE at < :before)
""")

_AUDITS = text("""
DELETE FROM audits WHERE id IN (
    SELECT id FROM (SELECT id, began_at FROM audits ORDER BY id LIMIT :limit) AS oldest WHERE began_at < :before)
""")

_VARIANTS = text("""
DELETE FROM variants WHERE ctid IN (
    SELECT v.ctid FROM streams s JOIN variants v ON v.stream_id = s.id
    WHERE (v.epoch, v.sequence) < (s.forgotten_epoch, s.forgotten_below)
      AND NOT v.held AND v.received_at < :before LIMIT :limit)
""")

_SIGHTINGS = text("""
DELETE FROM sightings WHERE ctid IN (
    SELECT seen.ctid FROM streams s JOIN sightings seen ON seen.stream_id = s.id
    WHERE s.numbering = 'venue' AND (seen.epoch, seen.sequence) < (s.forgotten_epoch, s.forgotten_below)
      AND seen.received_at < :before LIMIT :limit)
""")

_PAYLOADS = text("""
UPDATE sightings SET payload = '' WHERE ctid IN (
    SELECT seen.ctid FROM streams s JOIN sightings seen ON seen.stream_id = s.id
    WHERE s.numbering = 'bridge' AND (seen.epoch, seen.sequence) < (s.forgotten_epoch, s.forgotten_below)
      AND seen.received_at < :before AND seen.payload <> '' LIMIT :limit)
""")

_PARKED = text("""
DELETE FROM parked WHERE ctid IN (
    SELECT ctid FROM parked WHERE state IN ('redelivered', 'discarded') AND ended_at < :before LIMIT :limit)
""")

# The oldest rows come first by their ids; a run that still goes on may be among them, and stays.
_ATTEMPTS = text("""
DELETE FROM attempts WHERE id IN (
    SELECT id FROM (SELECT id, ended_at FROM attempts ORDER BY id LIMIT :limit) AS oldest WHERE ended_at < :before)
""")

# What a report begins with is how the hour before it ended: the last one of each is kept.
_HOURS = text("""
DELETE FROM hours WHERE ctid IN (
    SELECT h.ctid FROM hours h WHERE h.hour < :before
      AND EXISTS (SELECT 1 FROM hours n WHERE n.stream_id = h.stream_id AND n.hour > h.hour AND n.hour < :before)
    LIMIT :limit)
""")

_DELIVERY_HOURS = text("""
DELETE FROM delivery_hours WHERE ctid IN (
    SELECT h.ctid FROM delivery_hours h WHERE h.hour < :before
      AND EXISTS (SELECT 1 FROM delivery_hours n WHERE n.destination_id = h.destination_id
                  AND n.stream_id = h.stream_id AND n.hour > h.hour AND n.hour < :before)
    LIMIT :limit)
""")

_REPORTS = text(
    "DELETE FROM reports WHERE id IN (SELECT id FROM reports WHERE until < :before ORDER BY id LIMIT :limit)"
)
# What is over goes with its notices; what sums others up has no alert to go with. Hours are counted up to a day and
# an hour later: for so long the alert is needed, which says how many of them were told.
_ALERTS = text("""
DELETE FROM alerts WHERE id IN (
    SELECT id FROM alerts WHERE resolved_at < CAST(:before AS timestamptz) - interval '1 hour'
    ORDER BY id LIMIT :limit)
""")

_SUMMARIES = text("""
DELETE FROM notices WHERE id IN (
    SELECT id FROM notices WHERE alert_id IS NULL AND decided_at < :before LIMIT :limit)
""")

_SILENCES = text("""
DELETE FROM silences WHERE id IN (
    SELECT id FROM silences WHERE coalesce(ended_at, until) < :before ORDER BY id LIMIT :limit)
""")

KINDS: Mapping[str, TextClause] = MappingProxyType(
    {
        "proofs": _PROOFS,
        "gaps": _GAPS,
        "reads": _READS,
        "audits": _AUDITS,
        "variants": _VARIANTS,
        "sightings": _SIGHTINGS,
        "payloads": _PAYLOADS,
        "parked": _PARKED,
        "attempts": _ATTEMPTS,
        "hours": _HOURS,
        "delivery_hours": _DELIVERY_HOURS,
        "reports": _REPORTS,
        "alerts": _ALERTS,
        "summaries": _SUMMARIES,
        "silences": _SILENCES,
    }
)
"""What there is to clear, in the order in which it may be done."""

REPORTED = ("hours", "delivery_hours", "reports")
"""Those of them that reports are made of, or are."""


async def clear(conn: AsyncConnection, *, kind: str, before: datetime, rows_max: int) -> int:
    """Clear up to ``rows_max`` rows of one of ``KINDS`` that are older than ``before``; returns how many went."""
    return (await conn.execute(KINDS[kind], {"before": before, "limit": rows_max})).rowcount
