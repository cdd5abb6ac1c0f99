"""What an HTTP answer of this venue means: its code stands in the body, whatever the status says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from bridge.core.errors import VenueError
from bridge.core.retry import parse_retry_after
from bridge.sources.base import KeyRefused
from bridge.sources.poloniex_v1.values import UNREADABLE
from bridge.sources.rest import Answer, Failed, RestLimits, judge

SUCCESS = "200000"
CLOCK_CODE = "400002"
KEY_CODES = frozenset({"400001", "400003", "400004", "400005", "400006", "400007", "411100"})
RATE_CODES = frozenset({"429", "429000", "1015"})
RANGE_CODES = frozenset({"200001", "200002"})
SERVER_CODE = "500000"
CODE_CHARS_MAX = 16
TRUSTED_SKEW = timedelta(seconds=1.5)
"""The header's time is cut to seconds, and late by the way here: a smaller difference says nothing."""


class RangeRefused(VenueError):
    """The venue does not offer the range that was asked for."""


class _Body(msgspec.Struct):
    code: Any = None


_decode = msgspec.json.Decoder(_Body).decode


@dataclass(slots=True)
class VenueTime:
    """How far the venue's clock is from ours, as its answers tell."""

    skew: timedelta = timedelta(0)

    def note(self, venue_now: datetime, local_now: datetime) -> None:
        off = venue_now - local_now
        self.skew = off if abs(off) >= TRUSTED_SKEW else timedelta(0)

    def at(self, local_now: datetime) -> datetime:
        """What the venue's clock shows, as well as is known."""
        return local_now + self.skew


class Verdict:
    """Judges answers, and learns the venue's time from them on the way."""

    def __init__(self, time: VenueTime) -> None:
        self._time = time

    def __call__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        repeatable: bool,
        now: datetime,
        limits: RestLimits,
    ) -> Answer | Failed:
        known = self._time.skew
        venue_now = _date(headers.get("date"))
        if venue_now is not None:
            self._time.note(venue_now, now)
        code = None if body is None else _code(body)
        if code is None or (code == SUCCESS and status >= 300):
            return judge(status, headers, body, repeatable=repeatable, now=now, limits=limits)
        if code == SUCCESS:
            return Answer(body or b"", venue_now)
        text = f"the venue answered code {code}"
        if code in KEY_CODES:
            return Failed(KeyRefused(f"the venue refuses the key (code {code})"), again=False)
        if code == CLOCK_CODE:
            return Failed(VenueError(f"{text}: its clock differs from ours"), again=self._time.skew != known)
        if code in RANGE_CODES:
            return Failed(RangeRefused(text), again=False)
        if code in RATE_CODES:
            asked_s = parse_retry_after(headers.get("retry-after"), now=now, max_s=limits.retry_after_max_s)
            return Failed(VenueError(text), again=True, asked_s=asked_s)
        return Failed(VenueError(text), again=repeatable and (code == SERVER_CODE or status >= 500))


def _code(body: bytes) -> str | None:
    try:
        code = _decode(body).code
    except UNREADABLE:
        return None
    if type(code) is int:
        code = str(code)
    return code if type(code) is str and code.isascii() and code.isalnum() and len(code) <= CODE_CHARS_MAX else None


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value) if value is not None else None
    except (ValueError, OverflowError):
        return None
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
