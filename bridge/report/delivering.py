"""What a report says of destinations: hours as they were counted, cursors as the period left them."""

from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest

from bridge.core.latency import percentile_ms
from bridge.report.period import HOUR, NotReportable, Period
from bridge.report.shape import Acknowledged, Deliveries, DestinationHour, DestinationReport
from bridge.store import delivery_hours, destinations
from bridge.store.delivery_hours import Hour, Standing
from bridge.store.direct import Executes

DESTINATIONS_MAX = 1_000
ACKNOWLEDGED_MAX = 1_000
HOURS_MAX = 250_000


async def delivering(
    conn: Executes, period: Period, *, glob: str, stream_ids: Sequence[int]
) -> AsyncIterator[DestinationReport]:
    """The destinations whose names match ``glob``, by name, as far as they are about these streams.

    Raises:
        NotReportable: there are too many destinations, or hours of them, for one report.
    """
    found = await destinations.named(conn)
    wanted = {name: found[name] for name in sorted(found) if fnmatchcase(name, glob)}
    if len(wanted) > DESTINATIONS_MAX:
        raise NotReportable(f"more than {DESTINATIONS_MAX:,} destinations: ask for some of them")
    rows = len(wanted) * ((period.until - period.since) // HOUR)
    if rows > HOURS_MAX:
        raise NotReportable(
            f"{rows:,} hours of destinations are too many: ask for a shorter period, or for some of them"
        )
    for name, destination_id in wanted.items():
        yield await _destination(conn, period, name, destination_id, stream_ids)


async def _destination(
    conn: Executes, period: Period, name: str, destination_id: int, stream_ids: Sequence[int]
) -> DestinationReport:
    most = (period.until - period.since) // HOUR
    read = await delivery_hours.read(
        conn, destination_id, stream_ids, since=period.since, until=period.until, limit=most
    )
    stood = await delivery_hours.standings(conn, destination_id, stream_ids, until=period.until)
    deliveries = _deliveries(read)
    return DestinationReport(
        destination=name,
        deliveries=deliveries,
        first_try_percent=_percent(deliveries.first_try, deliveries.delivered),
        owed=sum(one.owed for one in stood),
        oldest_at=min((one.oldest_at for one in stood if one.oldest_at is not None), default=None),
        streams=[_acknowledged(one) for one in stood[:ACKNOWLEDGED_MAX]],
        streams_more=max(0, len(stood) - ACKNOWLEDGED_MAX),
        hours=[DestinationHour(hour.hour, _deliveries([hour])) for hour in read],
    )


def _deliveries(hours: Sequence[Hour]) -> Deliveries:
    latency = [sum(counts) for counts in zip_longest(*(hour.latency for hour in hours), fillvalue=0)]
    return Deliveries(
        delivered=sum(hour.delivered for hour in hours),
        first_try=sum(hour.first_try for hour in hours),
        attempts=sum(hour.attempts for hour in hours),
        failed=sum(hour.failed for hour in hours),
        parked=sum(hour.parked for hour in hours),
        expired=sum(hour.expired for hour in hours),
        p50_ms=percentile_ms(latency, 0.5),
        p99_ms=percentile_ms(latency, 0.99),
    )


def _acknowledged(one: Standing) -> Acknowledged:
    return Acknowledged(
        stream=one.stream,
        position=one.position,
        chain=None if one.chain is None else one.chain.hex(),
        owed=one.owed,
        oldest_at=one.oldest_at,
    )


def _percent(part: int, whole: int) -> float | None:
    """Cut off, and never rounded up to what it is not."""
    return part * 1_000_000 // whole / 10_000 if whole else None
