"""Spans of time as people say them."""

from datetime import datetime


def seconds(span_s: float) -> str:
    """A span of time in one or two units: 0.4s, 12s, 3m 20s, 5h 02m, 2d 3h."""
    sign, span_s = ("-", -span_s) if span_s < 0 else ("", span_s)
    if span_s < 10:
        return f"{sign}{span_s:.1f}s"
    whole = round(span_s)
    minutes, rest_s = divmod(whole, 60)
    hours, rest_m = divmod(minutes, 60)
    days, rest_h = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {rest_h}h"
    if hours:
        return f"{sign}{hours}h {rest_m:02}m"
    return f"{sign}{minutes}m {rest_s:02}s" if minutes else f"{sign}{whole}s"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago ``moment`` was; a dash where there was none."""
    return "-" if moment is None else seconds((now - moment).total_seconds())


def until(moment: datetime | None, now: datetime) -> str:
    """How long until ``moment``, or since when it has passed."""
    if moment is None:
        return "-"
    left_s = (moment - now).total_seconds()
    return f"in {seconds(left_s)}" if left_s >= 0 else f"{seconds(-left_s)} ago"
