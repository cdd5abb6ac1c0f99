"""The venue's side of one socket: AUTHENTICATED, then subscriptions in batches, then events. Pure."""

from collections.abc import Sequence

import msgspec

from bridge.core.event import Event
from bridge.sources.base import Connected, Malformed
from bridge.sources.playbatman.frames import (
    EVENT_TYPES,
    Authenticated,
    Ignored,
    Pong,
    Refused,
    Subscribed,
    Unknown,
    read_frame,
)
from bridge.sources.socket import Heard

BATCH_MARKETS_MAX = 50
_NOTHING = Heard()


class SocketConversation:
    """What to answer to what was heard on one connection."""

    def __init__(
        self,
        markets: Sequence[str],
        *,
        event_types: frozenset[str] = EVENT_TYPES,
        batch_markets_max: int = BATCH_MARKETS_MAX,
    ) -> None:
        wanted = list(dict.fromkeys(markets))
        self._batches = [wanted[at : at + batch_markets_max] for at in range(0, len(wanted), batch_markets_max)]
        self._asked: list[str] = []
        self._event_types = event_types
        self._authenticated = False
        self._taken = 0
        self._ready = False

    @property
    def ready(self) -> bool:
        return self._ready

    def open(self) -> Heard:
        """Nothing: the venue speaks first."""
        return _NOTHING

    def resubscribe(self, series: str) -> Heard:
        """Nothing: this venue sends no snapshots that could be asked for."""
        return _NOTHING

    def hear(self, frame: bytes) -> Heard:
        """What follows from ``frame``; junk is odd, never an end."""
        try:
            said = read_frame(frame, self._event_types)
        except Malformed as error:
            return Heard(odd="frame.malformed", detail=str(error))
        match said:
            case Event():
                return Heard(updates=(said,), alive=True)
            case Pong():
                return Heard(alive=True, pong=True)
            case Authenticated():
                if self._authenticated:
                    return _NOTHING
                self._authenticated = True
                return self._ask_next()
            case Subscribed(markets):
                return self._acknowledged(markets)
            case Refused(code):
                return Heard(odd="frame.refused", detail=code)
            case Unknown(kind):
                return Heard(odd="frame.unknown", detail=kind)
            case Ignored():
                return _NOTHING

    def overdue(self) -> Heard | None:
        """Without the key's acknowledgement: the end. Without a batch's: its markets are given up, loudly."""
        if not self._authenticated or not self._asked:
            return None
        missing = len(self._asked)
        follow = self._ask_next()
        if self._ready and not self._taken:
            return None
        return Heard(updates=follow.updates, say=follow.say, odd="markets.refused", detail=f"{missing} markets")

    def ping(self) -> str:
        return '{"type":"PING"}'

    def _acknowledged(self, markets: frozenset[str]) -> Heard:
        taken = markets.intersection(self._asked)
        if not taken:
            return _NOTHING
        missing = len(self._asked) - len(taken)
        self._taken += len(taken)
        follow = self._ask_next()
        if not missing:
            return follow
        return Heard(updates=follow.updates, say=follow.say, odd="markets.refused", detail=f"{missing} markets")

    def _ask_next(self) -> Heard:
        if self._batches:
            self._asked = self._batches.pop(0)
            request = {"type": "SUBSCRIBE", "payload": {"marketIds": self._asked}}
            return Heard(say=(msgspec.json.encode(request).decode(),))
        self._asked = []
        self._ready = True
        return Heard(updates=(Connected(),))
