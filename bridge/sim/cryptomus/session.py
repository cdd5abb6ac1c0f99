"""One client on the venue's socket: requests with ids, answers that may lack their method, and its silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from bridge.sim.bucket import TokenBucket
from bridge.sim.market import Close, Cut, Push, Said, Say

ALL = "all"
PUBLIC = frozenset({"lastprice", "ticker", "depth", "trade"})
PRIVATE = frozenset({"order", "deal", "balance"})
SHORT_ACKS = frozenset({"deal_subscribe"})
"""Answers to these lack their method, as those to everything that ends in ``_unsubscribe`` do."""
BAD_FORM, OTHER = 1, 2
ABNORMAL = 1006

Resubscribing = Literal["replace", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What is not known of the venue, as its options say.

    ``refusal``: a bad token is refused at the upgrade, or accepted and closed. ``resubscribe``: what a second one
    of the same kind does. ``invalid_json_close`` 1006 is no close frame at all. ``requests_per_s`` 0 is no limit.
    """

    refusal: Literal["http401", "close4001"] = "http401"
    resubscribe: Resubscribing = "replace"
    invalid_json_close: int = 1003
    idle_close: int = 1000
    idle_s: float = 60.0
    token_lasts_s: float = 300.0
    requests_per_s: float = 10.0
    names_the_bad: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What all sessions of a venue have in common: ``known`` entries by kind, and the whole of a book."""

    manners: Manners
    known: dict[str, frozenset[str]]
    whole: Callable[[str, datetime], Say]


@dataclass(slots=True)
class Rejected:
    """Whoever came with a bad token, accepted only to be closed."""

    def opened(self, now: datetime) -> Sequence[Said]:
        return [Close(4001, "token")]

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        return []

    def due(self, now: datetime) -> Sequence[Said]:
        return []

    def pushed(self, push: Push) -> Sequence[bytes]:
        return []


@dataclass(slots=True)
class Subscriber:
    """``asked_at`` is when the client last asked for anything: pushes do not keep it alive."""

    rules: Rules
    asked_at: datetime
    subscribed: dict[str, frozenset[str]] = field(default_factory=dict)
    _bucket: TokenBucket = field(default_factory=TokenBucket)

    def opened(self, now: datetime) -> Sequence[Said]:
        self.asked_at = now
        return []

    def due(self, now: datetime) -> Sequence[Said]:
        manners = self.rules.manners
        idle = now - self.asked_at >= timedelta(seconds=manners.idle_s)
        return [_closing(manners.idle_close)] if idle else []

    def pushed(self, push: Push) -> Sequence[bytes]:
        kind, _, what = push.topic.partition(":")
        wanted = self.subscribed.get(kind, frozenset())
        return [push.frame] if what in wanted or ALL in wanted else []

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        self.asked_at = now
        try:
            said = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_closing(self.rules.manners.invalid_json_close)]
        match said:
            case {"id": int() as request, "method": str() as method, "params": [*params]}:
                if self._bucket.wait_s(now, self.rules.manners.requests_per_s):
                    return [_refused(request, OTHER, "Too many requests")]
                return self._asked(request, method, params, now)
            case {"id": int() as request}:
                return [_refused(request, BAD_FORM, "Invalid message format")]
        return [_refused(None, BAD_FORM, "Invalid message format")]

    def _asked(self, request: int, method: str, params: list[Any], now: datetime) -> Sequence[Said]:
        kind, _, verb = method.rpartition("_")
        if method == "ping":
            return [Say(msgspec.json.encode({"id": request, "method": "pong", "data": None, "error": None}))]
        if kind not in PUBLIC | PRIVATE or verb not in ("subscribe", "unsubscribe"):
            return [_refused(request, OTHER, "Unknown method", method)]
        known = self.rules.known[kind] | {ALL}
        if bad := [what for what in params if not isinstance(what, str) or what not in known]:
            named = f": {bad[0]}" if self.rules.manners.names_the_bad else ""
            return [_refused(request, OTHER, f"Invalid params{named}", method)]
        wanted = frozenset(params)
        if verb == "unsubscribe":
            left = frozenset() if ALL in wanted or not wanted else self.subscribed.get(kind, frozenset()) - wanted
            self.subscribed[kind] = left
            return [_done(request)]
        return self._subscribe(request, kind, wanted, now)

    def _subscribe(self, request: int, kind: str, wanted: frozenset[str], now: datetime) -> Sequence[Said]:
        method = f"{kind}_subscribe"
        if not wanted:
            return [_refused(request, OTHER, "Invalid params", method)]
        if self.subscribed.get(kind) and self.rules.manners.resubscribe == "refuse":
            return [_refused(request, OTHER, "Already subscribed", method)]
        self.subscribed[kind] = wanted
        answer = _done(request) if method in SHORT_ACKS else _done(request, method)
        if kind != "depth":
            return [answer]
        books = self.rules.known[kind] if ALL in wanted else wanted
        return [answer, *(self.rules.whole(book, now) for book in sorted(books))]


def _closing(code: int) -> Said:
    return Cut() if code == ABNORMAL else Close(code)


def _done(request: int, method: str | None = None) -> Say:
    named = {} if method is None else {"method": method}
    return Say(msgspec.json.encode({"id": request, **named, "data": {"status": "success"}, "error": None}))


def _refused(request: int | None, code: int, text: str, method: str | None = None) -> Say:
    named = {} if method is None else {"method": method}
    told = {"id": request, **named, "data": None, "error": {"message": text, "code": code}}
    return Say(msgspec.json.encode(told))
