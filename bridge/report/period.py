"""The period of a report: whole hours, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bridge.core.errors import BridgeError

HOUR = timedelta(hours=1)
PERIOD_MAX = timedelta(days=366)


class NotReportable(BridgeError):
    """What was asked for is no period, or too much for one report; the text says what to ask for instead."""


class Period(NamedTuple):
    """From the beginning of one hour to the beginning of another."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, since: datetime, until: datetime) -> "Period":
        """Raises NotReportable for one that is empty, too long, or does not begin and end with an hour."""
        if since.astimezone(UTC) != _whole(since) or until.astimezone(UTC) != _whole(until):
            raise NotReportable("a report covers whole hours: its period begins and ends at minute 0, in UTC")
        if since >= until:
            raise NotReportable("the period is empty: it ends before it begins")
        if until - since > PERIOD_MAX:
            raise NotReportable(f"the period is too long: at most {PERIOD_MAX.days} days")
        return cls(since.astimezone(UTC), until.astimezone(UTC))


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
