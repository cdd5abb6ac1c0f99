"""Reconciliation reports: what became of every number in a period, stream by stream and hour by hour."""

from bridge.report.making import STREAMS_MAX, make
from bridge.report.period import HOUR, PERIOD_MAX, NotReportable, Period
from bridge.report.written import Written

__all__ = ["HOUR", "PERIOD_MAX", "STREAMS_MAX", "NotReportable", "Period", "Written", "make"]
