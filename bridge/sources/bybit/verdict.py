"""What an answer of the venue's REST side means: it says most of it inside a 200, and bans by 403.

Pure but for what it learns of the venue's clock.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

import msgspec

from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.bybit.values import UNREADABLE, maybe_time
from bridge.sources.bybit.venue_time import VenueTime
from bridge.sources.rest import Answer, Failed, RestLimits, judge

RESET_HEADER = "x-bapi-limit-reset-timestamp"
_CLOCK = 10002
_TOO_MANY = frozenset({10006, 10018})
_KEY = frozenset({10003, 10004, 10005, 10007, 10009, 10010, 33004})
_AGAIN = frozenset({10000, 10016, 10019})
_LIMIT_S = 1.0
"""How long to wait where the venue does not say when its limit ends; its windows are a second long."""


class _Envelope(msgspec.Struct):
    retCode: int  # noqa: N815 (the venue's name)
    time: int | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


class Verdict:
    """Judges one source's answers. ``banned_s``: how long a 403, which is a ban of our address, lasts."""

    def __init__(self, time: VenueTime, *, banned_s: float) -> None:
        self._time = time
        self._banned_s = banned_s

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
        """An answer, or a failure that another try may or may not mend."""
        if status == HTTPStatus.FORBIDDEN:
            error = VenueError("the venue bans our address for a while (HTTP 403)")
            return Failed(error, again=False, asked_s=self._banned_s)
        outcome = judge(status, headers, body, repeatable=repeatable, now=now, limits=limits)
        if isinstance(outcome, Failed):
            return outcome
        try:
            said = _decode(outcome.body)
        except UNREADABLE:
            return Failed(VenueError("the venue's answer cannot be read"), again=repeatable)
        venue_now = maybe_time(said.time)
        if venue_now is not None:
            self._time.note(venue_now, now)
        if said.retCode == 0:
            return Answer(outcome.body, venue_now or outcome.venue_now)
        return self._refusal(said.retCode, headers, now, limits)

    def _refusal(self, code: int, headers: Mapping[str, str], now: datetime, limits: RestLimits) -> Failed:
        if code in _KEY:
            return Failed(KeyRefused(f"the venue refuses the key (retCode {code})"), again=False)
        if code in _TOO_MANY:
            reset = maybe_time(headers.get(RESET_HEADER))
            wait_s = _LIMIT_S if reset is None else (reset - self._time.at(now)).total_seconds()
            asked_s = min(max(wait_s, 0.0), limits.retry_after_max_s)
            return Failed(VenueError(f"too many requests (retCode {code})"), again=True, asked_s=asked_s)
        if code == _CLOCK:  # its time, which has just been learnt, signs the next try
            return Failed(VenueError("the venue finds our clock wrong"), again=True)
        return Failed(VenueError(f"the venue answered retCode {code}"), again=code in _AGAIN)
