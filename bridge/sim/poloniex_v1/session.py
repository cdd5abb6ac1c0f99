"""One client's side of one connection: welcome, requests, tunnels, pings, and what it is told."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from bridge.sim.market import Close, Cut, Push, Said, Say

TUNNELS_MAX = 5
TOPICS_MAX = 100
FRAMES_MAX = 100
FRAMES_PERIOD_S = 10.0
LIST_MAX = 100
GONE, DENIED, BAD = 404, 403, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What all sessions of a venue have in common. ``knows`` says if there is such a topic, ``hidden`` if it is ours.

    ``silence_s`` until a client that does not ping is cut, with ``cut_code``, or without a word for 1006.
    ``blames_connection``: errors carry the connection's id instead of the request's.
    """

    knows: Callable[[str], bool]
    hidden: Callable[[str], bool]
    silence_s: float = 60.0
    cut_code: int = 1000
    blames_connection: bool = False


@dataclass(slots=True)
class Subscriber:
    """``private``: what its token is good for. ``accepts``: whether it wants to be told of its user."""

    rules: Rules
    connect_id: str
    private: bool
    accepts: bool
    good: bool = True
    _topics: dict[str, str] = field(default_factory=dict)
    _tunnels: set[str] = field(default_factory=set)
    _pinged_at: datetime | None = None
    _frames: deque[datetime] = field(default_factory=deque)

    def opened(self, now: datetime) -> Sequence[Said]:
        self._pinged_at = now
        if not self.good:
            return [self._error(self.connect_id, 401, "token is invalid"), Close(1000)]
        return [_say({"id": self.connect_id, "type": "welcome"})]

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        if self._too_many(now):
            return [self._error(self.connect_id, 429, "too many requests"), Cut()]
        try:
            request = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [self._error(self.connect_id, BAD, "not JSON")]
        match request:
            case {"type": "ping", "id": number}:
                self._pinged_at = now
                return [_say({"id": str(number), "type": "pong"})]
            case {"type": "subscribe", "id": number, "topic": str(topic)}:
                return self._subscribe(str(number), topic, request)
            case {"type": "unsubscribe", "id": number, "topic": str(topic)}:
                for one in topics_in(topic):
                    self._topics.pop(one, None)
                return self._ack(str(number), request)
            case {"type": "openTunnel", "id": number, "newTunnelId": str(tunnel)}:
                return self._open_tunnel(str(number), tunnel, request)
            case {"type": "closeTunnel", "id": number, "tunnelId": str(tunnel)}:
                return self._close_tunnel(str(number), tunnel, request)
        return [self._error(self.connect_id, BAD, "unknown request")]

    def due(self, now: datetime) -> Sequence[Said]:
        if self._pinged_at is None or (now - self._pinged_at).total_seconds() < self.rules.silence_s:
            return []
        self._pinged_at = None  # once is enough
        return [Cut()] if self.rules.cut_code == 1006 else [Close(self.rules.cut_code)]

    def pushed(self, push: Push) -> Sequence[bytes]:
        tunnel = self._topics.get(push.topic)
        if tunnel is None or (self.rules.hidden(push.topic) and not self.accepts):
            return []
        return [push.frame[:-1] + b',"tunnelId":"%b"}' % tunnel.encode()] if tunnel else [push.frame]

    def _subscribe(self, number: str, listed: str, request: dict[str, Any]) -> Sequence[Said]:
        topics, tunnel = topics_in(listed), str(request.get("tunnelId", ""))
        if tunnel and tunnel not in self._tunnels:
            return [self._error(self._blamed(number), GONE, f"tunnelId {tunnel} is not exist")]
        if unknown := [topic for topic in topics if not self.rules.knows(topic)]:
            return [self._error(self._blamed(number), GONE, f"topic {unknown[0]} is not found")]
        for topic in topics:
            if self.rules.hidden(topic) and not (self.private and request.get("privateChannel") is True):
                return [self._error(self._blamed(number), DENIED, f"topic {topic} is private")]
        if len({*self._topics, *topics}) > TOPICS_MAX:
            return [self._error(self._blamed(number), BAD, "exceed max subscription count limitation of 100")]
        self._topics.update(dict.fromkeys(topics, tunnel))
        return self._ack(number, request)

    def _open_tunnel(self, number: str, tunnel: str, request: dict[str, Any]) -> Sequence[Said]:
        if not self.private:
            return [self._error(self._blamed(number), DENIED, "tunnels are for API users only")]
        if not tunnel or len({*self._tunnels, tunnel}) > TUNNELS_MAX:
            return [self._error(self._blamed(number), BAD, "exceed max tunnel count limitation of 5")]
        self._tunnels.add(tunnel)
        return self._ack(number, request)

    def _close_tunnel(self, number: str, tunnel: str, request: dict[str, Any]) -> Sequence[Said]:
        if tunnel not in self._tunnels:
            return [self._error(self._blamed(number), GONE, f"tunnelId {tunnel} is not exist")]
        self._tunnels.discard(tunnel)
        self._topics = {topic: its for topic, its in self._topics.items() if its != tunnel}
        return self._ack(number, request)

    def _ack(self, number: str, request: dict[str, Any]) -> Sequence[Said]:
        """Only whoever wants one gets one; the id comes back as text, whatever it was."""
        return [_say({"id": number, "type": "ack"})] if request.get("response") is True else []

    def _blamed(self, number: str) -> str:
        return self.connect_id if self.rules.blames_connection else number

    def _error(self, number: str, code: int, text: str) -> Say:
        return _say({"id": number, "type": "error", "code": code, "data": text})

    def _too_many(self, now: datetime) -> bool:
        self._frames.append(now)
        while (now - self._frames[0]).total_seconds() >= FRAMES_PERIOD_S:
            self._frames.popleft()
        return len(self._frames) > FRAMES_MAX


def topics_in(listed: str) -> list[str]:
    """The single topics of one request: its symbols are listed with commas."""
    path, colon, symbols = listed.partition(":")
    return [f"{path}:{symbol}" for symbol in symbols.split(",")[:LIST_MAX]] if colon else [path]


def _say(told: dict[str, object]) -> Say:
    return Say(msgspec.json.encode(told))
