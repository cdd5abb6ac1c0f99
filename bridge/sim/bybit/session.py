"""One client's side of one connection: what the venue answers, refuses, and when it hangs up. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bridge.sim.bybit.signing import API_KEY, API_SECRET, socket_signature
from bridge.sim.bybit.words import Row, encode
from bridge.sim.market import Close, Cut, Push, Said, Say
from bridge.sim.market.ids import ms_of

ARGS_CHARS_MAX = 21_000
SPOT_ARGS_MAX = 10
OPTION_ARGS_MAX = 2_000
ABNORMAL = 1006
PRIVATE = "private"
Request = Mapping[Any, Any]

_PUBLIC = re.compile(
    r"(?:orderbook\.(?:1|50|200|1000|full)|publicTrade|tickers|allLiquidation)\.(?P<symbol>[A-Za-z0-9_-]+)"
)
_PRIVATE = re.compile(
    r"(?:order|execution|execution\.fast)(?:\.(?:spot|linear|inverse|option))?"
    r"|position(?:\.(?:linear|inverse|option))?|wallet|greeks"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for every connection. ``snapshot``: what is told to one who has just subscribed to a topic."""

    symbols: Sequence[str]
    snapshot: Callable[[str, datetime], Say | None]
    scan_s: float
    idle_s: float
    close_code: int


class Subscriber:
    """A connection to one product's public socket, or to the private one, which wants to be shown a key first.

    ``expired``: the key is shown too late. ``active_s``: after how long without traffic the line is cut, give or
    take the time between two scans.
    """

    def __init__(self, rules: Rules, *, product: str, expired: bool, active_s: float | None) -> None:
        self._rules = rules
        self._product = product
        self._expired = expired
        self._idle_s = rules.idle_s if active_s is None else active_s
        self._known = False
        self._topics: dict[str, None] = {}
        self._scanned_at = self._traffic_at = datetime.min.replace(tzinfo=UTC)
        self._pushed = False

    def opened(self, now: datetime) -> Sequence[Said]:
        self._scanned_at = self._traffic_at = now
        return ()

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        self._traffic_at = now
        try:
            match msgspec.json.decode(text):
                case {"op": "ping", **rest}:
                    return [self._pong(rest, now)]
                case {"op": "auth", "args": [key, expires, signature], **rest} if self._product == PRIVATE:
                    return [self._auth(key, expires, signature, rest, now)]
                case {"op": "subscribe", "args": [*topics], **rest} if all(isinstance(one, str) for one in topics):
                    return self._subscribe(topics, rest, now)
                case {"op": "unsubscribe", "args": [*topics], **rest}:
                    for topic in topics:
                        self._topics.pop(str(topic), None)
                    return [self._answer("unsubscribe", rest, topics=topics)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [Say(encode({"success": False, "ret_msg": "error:invalid request", "conn_id": "sim"}))]
        return [Say(encode({"success": False, "ret_msg": "error:params error", "conn_id": "sim", "op": ""}))]

    def due(self, now: datetime) -> Sequence[Said]:
        """Lines without traffic are looked for now and then only, so that they live a little longer."""
        if self._pushed:
            self._pushed, self._traffic_at = False, now
        if now - self._scanned_at < timedelta(seconds=self._rules.scan_s):
            return ()
        self._scanned_at = now
        if now - self._traffic_at < timedelta(seconds=self._idle_s):
            return ()
        return [Cut()] if self._rules.close_code == ABNORMAL else [Close(self._rules.close_code)]

    def pushed(self, push: Push) -> Sequence[bytes]:
        if push.topic not in self._topics:
            return ()
        self._pushed = True
        return (push.frame,)

    def _pong(self, rest: Request, now: datetime) -> Say:
        if self._product == PRIVATE:
            return Say(encode({**_request(rest), "op": "pong", "args": [str(ms_of(now))], "conn_id": "sim"}))
        if self._product == "option":
            return Say(encode({"args": [str(ms_of(now))], "op": "pong"}))
        named = {} if self._product == "spot" else {"req_id": rest.get("req_id", "")}
        return Say(encode({"success": True, "ret_msg": "pong", "conn_id": "sim", **named, "op": "ping"}))

    def _auth(self, key: object, expires: object, signature: object, rest: Request, now: datetime) -> Say:
        said: Row = {"success": True, "ret_msg": "", "op": "auth", "conn_id": "sim", **_request(rest)}
        if self._expired or not isinstance(expires, int) or expires <= ms_of(now):
            said |= {"success": False, "ret_msg": "Params Error: request expired"}
        elif key != API_KEY or signature != socket_signature(API_SECRET, expires):
            said |= {"success": False, "ret_msg": "Params Error"}
        else:
            self._known = True
        return Say(encode(said))

    def _subscribe(self, topics: list[str], rest: Request, now: datetime) -> Sequence[Said]:
        """All of them, or none: one bad topic is enough."""
        if wrong := self._wrong(topics):
            refused = {"success": False, "ret_msg": wrong, "conn_id": "sim", **_request(rest), "op": "subscribe"}
            return [Say(encode(refused))]
        said: list[Said] = [self._answer("subscribe", rest, topics=topics)]
        for topic in topics:
            self._topics[topic] = None
            snapshot = self._rules.snapshot(topic, now)
            said += [] if snapshot is None else [snapshot]
        return said

    def _wrong(self, topics: list[str]) -> str:
        if self._product == PRIVATE and not self._known:
            return "Request not authorized"
        if self._product == "spot" and len(topics) > SPOT_ARGS_MAX:
            return f"args size >{SPOT_ARGS_MAX}"
        together = [*self._topics, *topics]
        if sum(map(len, together)) > ARGS_CHARS_MAX or (
            self._product == "option" and len(together) > OPTION_ARGS_MAX
        ):
            return "args size too large"
        for topic in topics:
            if not self._has(topic):
                return f"error:handler not found,topic:{topic}"
            if topic in self._topics:
                return f"error:already subscribed,topic:{topic}"
        if self._product == PRIVATE and len({topic.count(".") - ("fast" in topic) > 0 for topic in topics}) > 1:
            return "error:mixed topics"
        return ""

    def _has(self, topic: str) -> bool:
        if self._product == PRIVATE:
            return _PRIVATE.fullmatch(topic) is not None
        found = _PUBLIC.fullmatch(topic)
        return found is not None and found["symbol"] in self._rules.symbols

    def _answer(self, op: str, rest: Request, *, topics: Sequence[object]) -> Say:
        if self._product == "option":
            listed = {"failTopics": [], "successTopics": list(topics)}
            return Say(encode({"success": True, "conn_id": "sim", "data": listed, "type": "COMMAND_RESP"}))
        if self._product == PRIVATE:
            said: Row = {"success": True, "ret_msg": "", "op": op, "conn_id": "sim", **_request(rest)}
        else:
            text = op if self._product == "spot" else ""
            number = rest.get("req_id", "")
            said = {"success": True, "ret_msg": text, "conn_id": "sim", "req_id": number, "op": op}
        return Say(encode(said))


def _request(rest: Request) -> Row:
    return {"req_id": rest["req_id"]} if "req_id" in rest else {}
