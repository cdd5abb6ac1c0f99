"""One socket's conversation, without the socket: a client's frame in, the answers out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.sim.bucket import TokenBucket
from bridge.sim.playbatman.frames import frame_of

UNAUTHORIZED = 4001


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Zero switches a limit off."""

    idle_s: float = 60.0
    connections_max: int = 50
    markets_max: int = 500
    frames_per_s: float = 20.0


class Session:
    """``snapshot`` gives the frames that a new subscription to a market is answered with."""

    def __init__(
        self,
        *,
        markets: Sequence[str],
        limits: SocketLimits,
        snapshot: Callable[[str, datetime], list[bytes]],
    ) -> None:
        self._markets = frozenset(markets)
        self._limits = limits
        self._snapshot = snapshot
        self._bucket = TokenBucket()
        self.subscribed: set[str] = set()

    def answers(self, text: str | bytes | None, now: datetime) -> list[bytes]:
        """What to say to one frame of the client; junk gets an ERROR and never ends the session."""
        if self._bucket.wait_s(now, self._limits.frames_per_s):
            return [error("RATE_LIMITED", "Too many frames")]
        try:
            frame = msgspec.json.decode(text or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [error("INVALID_MESSAGE", "Not JSON")]
        match frame:
            case {"type": "PING"}:
                return [b'{"type":"PONG"}']
            case {"type": "SUBSCRIBE", "payload": {"marketIds": asked}}:
                return self._subscribe(asked, now)
            case {"type": "UNSUBSCRIBE", "payload": {"marketIds": asked}}:
                return self._unsubscribe(asked)
        return [error("INVALID_MESSAGE", "Unknown frame")]

    def _subscribe(self, asked: object, now: datetime) -> list[bytes]:
        wanted = _ids(asked)
        if wanted is None:
            return [error("INVALID_MESSAGE", "marketIds must be an id or a list of ids")]
        known = [market_id for market_id in wanted if market_id in self._markets]
        most = self._limits.markets_max
        if most and len(self.subscribed | set(known)) > most:
            return [error("LIMIT_EXCEEDED", f"At most {most} markets on one socket")]
        self.subscribed |= set(known)
        said = [frame_of("SUBSCRIBED", {"marketIds": known})] if known else []
        for market_id in known:
            said += self._snapshot(market_id, now)
        unknown = [market_id for market_id in wanted if market_id not in self._markets]
        return said + [error("MARKET_NOT_FOUND", f"No market {market_id}"[:200]) for market_id in unknown]

    def _unsubscribe(self, asked: object) -> list[bytes]:
        unwanted = _ids(asked)
        if unwanted is None:
            return [error("INVALID_MESSAGE", "marketIds must be an id or a list of ids")]
        self.subscribed -= set(unwanted)
        return [frame_of("UNSUBSCRIBED", {"marketIds": unwanted})]


def error(code: str, text: str) -> bytes:
    return frame_of("ERROR", {"code": code, "message": text})


def _ids(asked: object) -> list[str] | None:
    """The market ids of a frame: a list of strings, or one bare string."""
    if isinstance(asked, str):
        return [asked]
    if isinstance(asked, list) and all(isinstance(one, str) for one in asked):
        return asked
    return None
