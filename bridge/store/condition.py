"""How a stream is, in a word, and what is to be said of that: the same for the command and for the page."""

from datetime import datetime
from typing import NamedTuple

from bridge.core.duration import ago
from bridge.store.connections import UNATTENDED, Connection
from bridge.store.stance import Stance

FINE = "fine"
NOT_HEARD = "not heard"
GAP_OPEN = "gap open"
WAITING = "waiting"


class Condition(NamedTuple):
    """Only a stream that is ``fine`` is."""

    word: str
    detail: str


def condition(stance: Stance, connection: Connection | None, now: datetime) -> Condition:
    """How the stream is, by its own rows and by its source's socket."""
    stream, follow = stance.stream, stance.follow
    if stream.suspect_at is not None:
        return Condition(f"suspect for {ago(stream.suspect_at, now)}", "the venue's numbering is in doubt")
    if connection is not None and connection.state_at(now) == UNATTENDED:
        return Condition(UNATTENDED, "no worker attends to the source")
    if stance.axis == "time" and follow is not None:
        if follow.state == "unsubscribed":
            return Condition(NOT_HEARD, follow.detail)
        if follow.state != "subscribed":
            return Condition(follow.state, follow.detail)
    if stance.gaps is not None:
        return Condition(GAP_OPEN, "bridge gaps --open")
    if stance.axis == "sequence" and stream.frontier is None:
        return Condition(WAITING, "the venue was not asked yet")
    return Condition(FINE, "")
