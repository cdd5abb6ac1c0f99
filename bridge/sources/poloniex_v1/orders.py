"""From when on no order can have changed, as the lists of orders show it. Pure.

No list tells of an order's opening, change or cancellation as an event. But an order shows when it was made and when
it was last touched: in a time in which none was, nothing of the kind happened.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge.core.errors import VenueError
from bridge.sources.poloniex_v1.values import UNREADABLE, stamp

_MILLISECOND = timedelta(milliseconds=1)


class _Row(msgspec.Struct):
    createdAt: Any = None  # noqa: N815 (the venue's name)
    updatedAt: Any = None  # noqa: N815 (the venue's name)
    orderTime: Any = None  # noqa: N815 (the venue's name)
    endAt: Any = None  # noqa: N815 (the venue's name)


_decode = msgspec.json.Decoder(_Row).decode


def quiet_from(
    done: Iterable[bytes],
    active: Iterable[bytes],
    since: datetime,
    until: datetime,
    *,
    known_from: datetime,
    recent_max: int,
) -> datetime | None:
    """From when on, between ``since`` and ``until``, no order was made or touched.

    ``done`` are the orders that ended after ``known_from``, at most ``recent_max``. Raises VenueError.
    """
    ended = [_life(row) for row in done]
    lives = ended + [_life(row) for row in active]
    known = [life for life in lives if life is not None]
    if len(known) < len(lives):
        return None  # an order that does not say when it lived may have been touched at any time
    proven = max(since, known_from)
    if len(ended) >= recent_max:
        proven = max(proven, min(touched for _, touched in known[: len(ended)]) + _MILLISECOND)
    for made, touched in known:
        if made < until and touched + _MILLISECOND > since:  # the list cuts its times to milliseconds
            proven = max(proven, min(touched, until) + _MILLISECOND)
    return proven


def _life(row: bytes) -> tuple[datetime, datetime] | None:
    """When an order was made, and when it was last touched; None where it does not say."""
    try:
        said = _decode(row)
    except UNREADABLE:
        raise VenueError("the venue's list of orders holds a row that cannot be read") from None
    times = [at for value in (said.createdAt, said.orderTime, said.updatedAt, said.endAt) if (at := stamp(value))]
    return (min(times), max(times)) if times and (said.updatedAt or said.endAt) else None
