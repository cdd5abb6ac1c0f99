"""One client on one of the venue's two sockets: its requests, the venue's many small answers, and its silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge.sim.market import Cut, Push, Said, Say
from bridge.sim.poloniex_v3.signing import API_KEY, API_SECRET, socket_signature
from bridge.sim.poloniex_v3.words import ms_of

ALL = "all"
AUTH = "auth"
LINKED = "book_lv2"
PRIVATE = frozenset({"orders", "trade", "positions", "account"})
PUBLIC = frozenset(
    {
        LINKED,
        "book",
        "trades",
        "tickers",
        "index_price",
        "mark_price",
        "funding_rate",
        "candles_minute_1",
        "liquidation_orders",
    }
)
EACH_SYMBOL = frozenset({LINKED, "book", "trades"})
DEPTHS = (5, 10, 20)
SNAPSHOT_AFTER = timedelta(milliseconds=100)
REQUESTS_PER_S_MAX = 500
AHEAD_MS_MAX, BEHIND_MS_MAX = 1_000, 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What all sessions of a venue have in common. ``early`` says if an update is to overtake its snapshot."""

    symbols: Sequence[str]
    snapshot: Callable[[str, datetime], Say]
    early: Callable[[], bool]
    silence_s: float


@dataclass(slots=True)
class Subscriber:
    """``private``: on which socket. ``expired``: whatever key comes, its signature is too old."""

    rules: Rules
    private: bool
    expired: bool = False
    _trusted: bool = False
    _topics: set[str] = field(default_factory=set)
    _snapshots: dict[str, datetime] = field(default_factory=dict)
    _quiet: set[str] = field(default_factory=set)
    _heard_at: datetime | None = None
    _second: int = 0
    _requests: int = 0

    def opened(self, now: datetime) -> Sequence[Said]:
        """Nothing: here the client speaks first."""
        self._heard_at = now
        return []

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        self._heard_at = now
        if self._too_many(now):
            return [Cut()]
        if isinstance(text, str) and text.strip().lower() == "ping":
            return [_say({"event": "pong"})]
        try:
            request = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [_error("Not JSON string：")]
        match request:
            case {"event": "ping"}:
                return [_say({"event": "pong"})]
            case {"event": "subscribe", "channel": ["auth"], "params": dict(params)}:
                return [self._authenticated(params, now)]
            case {"event": "subscribe", "channel": list(words)}:
                return self._subscribed([str(word) for word in words], request, now)
            case {"event": "unsubscribe", "channel": list(words)}:
                return self._left([str(word) for word in words], request)
            case {"event": "unsubscribe_all"}:
                self._topics.clear()
                return [_say({"event": "unsubscribe_all"})]
            case {"event": "list_subscriptions"}:
                return [_say({"subscriptions": sorted(self._topics)})]
        return [_error("Bad request")]

    def due(self, now: datetime) -> Sequence[Said]:
        if self._heard_at is not None and (now - self._heard_at).total_seconds() >= self.rules.silence_s:
            return [Cut()]
        ripe = [symbol for symbol, at in self._snapshots.items() if at <= now]
        for symbol in ripe:
            del self._snapshots[symbol]
            self._quiet.discard(symbol)
        return [self.rules.snapshot(symbol, now) for symbol in ripe]

    def pushed(self, push: Push) -> Sequence[bytes]:
        word, _, symbol = push.topic.partition(":")
        if word == LINKED and symbol in self._quiet:
            return []
        return [push.frame] if push.topic in self._topics or f"{word}:{ALL}" in self._topics else []

    def _authenticated(self, params: dict[str, Any], now: datetime) -> Say:
        stamp = str(params.get("signTimestamp"))
        off_ms = int(stamp) - ms_of(now) if stamp.isdigit() else BEHIND_MS_MAX * 2
        fresh = -BEHIND_MS_MAX <= off_ms <= AHEAD_MS_MAX and not self.expired
        right = params.get("signature") == socket_signature(API_SECRET, stamp) and params.get("key") == API_KEY
        self._trusted = self.private and fresh and right
        answer: dict[str, object] = {"success": self._trusted, "ts": ms_of(now)}
        return _say(
            {"channel": AUTH, "data": answer if self._trusted else {**answer, "message": "Authentication failed!"}}
        )

    def _subscribed(self, words: list[str], request: dict[str, Any], now: datetime) -> list[Said]:
        """One acknowledgement for each channel, or one refusal for all of them, which names none."""
        known = PRIVATE if self.private else PUBLIC
        if wrong := [word for word in words if word not in known]:
            return [_error(f"Invalid channel values {msgspec.json.encode(wrong).decode()}")]
        if self.private and not self._trusted:
            return [_error("user must be authenticated!")]
        if "book" in words and request.get("depth", DEPTHS[0]) not in DEPTHS:
            return [_error(f"Invalid depth: {request.get('depth')}")]
        asked = request.get("symbols")
        symbols = [str(name) for name in asked] if isinstance(asked, list) else [ALL] if self.private else []
        if ALL in symbols and EACH_SYMBOL.intersection(words):
            return [_error("All symbols subscription is not allowed")]
        valid = [ALL] if ALL in symbols else [name for name in symbols if name in self.rules.symbols]
        if not valid:
            return [_error("no valid symbols")]
        for word in words:
            self._topics.update(f"{word}:{symbol}" for symbol in valid)
        if LINKED in words:
            self._owe_snapshots(valid, now)
        return [_say({"event": "subscribe", "channel": word, "symbols": valid}) for word in words]

    def _owe_snapshots(self, symbols: list[str], now: datetime) -> None:
        for symbol in symbols:
            self._snapshots[symbol] = now + SNAPSHOT_AFTER
            if not self.rules.early():
                self._quiet.add(symbol)

    def _left(self, words: list[str], request: dict[str, Any]) -> list[Said]:
        """Whatever is left is acknowledged, known or not."""
        for word in words:
            for symbol in request.get("symbols") or [ALL]:
                self._topics.discard(f"{word}:{symbol}")
                if word == LINKED:
                    self._snapshots.pop(symbol, None)
        return [_say({"event": "unsubscribe", "channel": word, "symbols": request.get("symbols")}) for word in words]

    def _too_many(self, now: datetime) -> bool:
        second = int(now.timestamp())
        self._requests = self._requests + 1 if second == self._second else 1
        self._second = second
        return self._requests > REQUESTS_PER_S_MAX


def _say(told: dict[str, object]) -> Say:
    return Say(msgspec.json.encode(told))


def _error(text: str) -> Say:
    return _say({"event": "error", "message": text})
