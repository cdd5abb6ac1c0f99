"""What the venue's HTTP answers mean beyond the usual: 404 is a word on its own."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from bridge.core.errors import VenueError
from bridge.sources.rest import Answer, Failed, RestLimits, judge


class NotFound(VenueError):
    """The venue knows no such thing: a market, or the user whose key this is."""


def verdict(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    repeatable: bool,
    now: datetime,
    limits: RestLimits,
) -> Answer | Failed:
    """``rest.judge``, with 404 told from other failures."""
    if status == HTTPStatus.NOT_FOUND:
        return Failed(NotFound("the venue knows no such user, market or route (HTTP 404)"), again=False)
    return judge(status, headers, body, repeatable=repeatable, now=now, limits=limits)
