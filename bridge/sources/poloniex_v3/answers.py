"""What an HTTP answer of the venue means. Pure: the venue says some things inside a 200."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec

from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.poloniex_v3.rows import UNREADABLE
from bridge.sources.rest import Answer, Failed, RestLimits, judge

TAKEN = "200"
TOO_OFTEN = frozenset({"429"})
KEY_REFUSED = frozenset({"401", "403"})
CLOCK_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT})
SKEW_MIN = timedelta(seconds=1)
"""The venue's Date counts whole seconds: a smaller difference says nothing."""


class _Envelope(msgspec.Struct):
    code: int | str
    data: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


class VenueTime:
    """How far the venue's clock is ahead of ours, as the venue's answers tell."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def at(self, now: datetime) -> datetime:
        """What the venue's clock shows when ours shows ``now``."""
        return now + self._ahead

    def learn(self, venue_now: datetime, now: datetime) -> bool:
        """Whether the venue's clock is not where it was thought to be."""
        ahead = venue_now - now
        if abs(ahead) <= SKEW_MIN:
            ahead = timedelta()
        moved = abs(ahead - self._ahead) > SKEW_MIN
        if moved:
            self._ahead = ahead
        return moved


class Verdict:
    """Judges answers, and learns the venue's clock from them. Where nothing was ``signed``, no key is refused."""

    def __init__(self, time: VenueTime, *, signed: bool) -> None:
        self._time = time
        self._signed = signed

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
        outcome = judge(status, headers, body, repeatable=repeatable, now=now, limits=limits)
        # A refusal has its Date too, and it is the one that tells how wrong our clock is.
        dated = judge(HTTPStatus.OK, headers, b"", repeatable=repeatable, now=now, limits=limits)
        moved = isinstance(dated, Answer) and dated.venue_now is not None and self._time.learn(dated.venue_now, now)
        failed = _inside(outcome) if isinstance(outcome, Answer) else outcome
        if isinstance(failed, Answer):
            return failed
        if isinstance(failed.error, KeyRefused) and not self._signed:
            return Failed(VenueError("the venue turns us away"), again=repeatable)
        again = failed.again or (moved and repeatable and status in CLOCK_REFUSED)
        return Failed(failed.error, again=again, asked_s=failed.asked_s)


def rows_in(body: bytes) -> list[bytes]:
    """The rows of an answer's data. Raises VenueError."""
    try:
        data = bytes(_decode(body).data)
        return [data] if data[:1] == b"{" else [bytes(row) for row in _decode_rows(data)]
    except UNREADABLE:
        raise VenueError("the venue's list cannot be read") from None


def _inside(answer: Answer) -> Answer | Failed:
    try:
        code = str(_decode(answer.body).code)
    except UNREADABLE:
        return Failed(VenueError("the venue's answer cannot be read"), again=True)
    if code == TAKEN:
        return answer
    shown = code if code.isascii() and code.isdigit() and len(code) <= len("99999999") else "?"
    if code in KEY_REFUSED:
        return Failed(KeyRefused(f"the venue refuses the key (code {shown})"), again=False)
    return Failed(VenueError(f"the venue answered with code {shown}"), again=code in TOO_OFTEN)
