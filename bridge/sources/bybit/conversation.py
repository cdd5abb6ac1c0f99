"""The venue's side of one socket: a key on the private one, then topics in batches, then events. Pure.

A batch with one topic that the venue does not have is refused as a whole: that topic is taken out, and the others
are asked for again. Where the refusal does not name it, the batch is halved until it is alone.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bridge.core.channel import Told
from bridge.sources.base import Connected, LiveUpdate, Malformed, Subscribed, Unsubscribed
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.frames import FrameReader, News, Pong, Reply, Unknown
from bridge.sources.bybit.repeats import Repeats
from bridge.sources.socket import Heard
from bridge.sources.wire import Closed

FLIGHTS_MAX = 256
_NOTHING = Heard()
_PING = '{"op":"ping"}'
_NAMED = re.compile(r"topic:([^\s,\]]+)")
_CLOCK_WORDS = ("expire", "timestamp", "retCode 10002")


@dataclass(slots=True)
class _Flight:
    """A batch that was asked for and is not answered yet."""

    request: str
    topics: tuple[str, ...]
    again: bool = False


def batches_of(topics: Sequence[Topic], *, args_max: int) -> list[tuple[str, ...]]:
    """What is asked for in one request each: few enough, and never both a topic of all products and one of one."""
    groups: dict[bool, list[str]] = {}
    for topic in topics:
        groups.setdefault(bool(topic.category), []).append(topic.name)
    return [
        tuple(names[at : at + args_max])
        for names in (list(dict.fromkeys(group)) for group in groups.values())
        for at in range(0, len(names), args_max)
    ]


class BybitConversation:
    """What to answer to what was heard on one connection. ``auth`` makes the frame that presents the key."""

    def __init__(
        self,
        topics: Sequence[Topic],
        *,
        args_max: int,
        auth: Callable[[], str] | None = None,
        clock_is_wrong: Callable[[], None] | None = None,
    ) -> None:
        self._reader = FrameReader(topics)
        self._repeats = Repeats(topics)
        self._names = {topic.name for topic in topics}
        self._waiting = deque(batches_of(topics, args_max=args_max))
        self._flights: deque[_Flight] = deque(maxlen=FLIGHTS_MAX)
        self._auth = auth
        self._clock_is_wrong = clock_is_wrong
        self._known = auth is None
        self._ready = False
        self._requests = 0

    @property
    def ready(self) -> bool:
        return self._ready

    def open(self) -> Heard:
        return Heard(say=(self._auth(),)) if self._auth is not None else self._ask_next()

    def hear(self, frame: bytes) -> Heard:
        """What follows from ``frame``; junk is odd, never an end. Raises Closed where the key is not taken."""
        try:
            said = self._reader.read(frame)
        except Malformed as error:
            return Heard(odd="frame.malformed", detail=str(error))
        match said:
            case News(told, sent_at) if told and self._repeats.knows(told[0].series, frame):
                return Heard(alive=True, sent_at=sent_at, odd="frame.repeated", detail=told[0].series)
            case News(told, sent_at, malformed):
                return _news(told, malformed, Heard(updates=told, alive=True, sent_at=sent_at))
            case Pong(sent_at):
                return Heard(alive=True, sent_at=sent_at, pong=True)
            case Reply("auth"):
                return self._answered_key(said)
            case Reply("subscribe" | ""):
                return self._answered(said) if self._known else self._answered_key(said)
            case Reply(op, taken, reason=reason):
                return _NOTHING if taken else Heard(odd="frame.refused", detail=f"{op}: {reason}")
            case Unknown(detail):
                return Heard(odd="frame.unknown", detail=detail)

    def resubscribe(self, series: str) -> Heard:
        """Leave the topic and ask for it again: its snapshot comes with it."""
        if series not in self._names:
            return _NOTHING
        leave = msgspec.json.encode({"op": "unsubscribe", "args": [series]}).decode()
        self._flights = deque((one for one in self._flights if one.topics != (series,)), FLIGHTS_MAX)
        return Heard(say=(leave, self._ask((series,))))

    def overdue(self) -> Heard | None:
        """Ask once more: an answer may have been lost. After that, or without the key's answer, it is the end."""
        if not self._known or not self._flights or self._flights[0].again:
            return None
        self._flights[0].again = True
        return Heard(say=(_request(self._flights[0]),), odd="subscription.unanswered")

    def ping(self) -> str:
        return _PING

    def _answered_key(self, reply: Reply) -> Heard:
        if reply.taken:
            if self._known:
                return _NOTHING
            self._known = True
            return self._ask_next()
        if any(word in reply.reason for word in _CLOCK_WORDS):
            if self._clock_is_wrong is not None:
                self._clock_is_wrong()
            raise Closed("the venue finds our clock wrong")
        raise Closed("the venue refuses the key", refused=True)

    def _answered(self, reply: Reply) -> Heard:
        flight = next((one for one in self._flights if one.request == reply.request), None)
        if flight is None:
            if reply.request or not self._flights:
                return _NOTHING if reply.taken else Heard(odd="frame.refused", detail=reply.reason)
            flight = self._flights[0]  # some products do not repeat our id, and answer in order
        self._flights.remove(flight)
        if not reply.taken:
            return self._refused(flight, reply)
        failed = tuple(name for name in flight.topics if name in reply.failed)
        taken = tuple(name for name in flight.topics if name not in reply.failed)
        return self._after(taken, failed, "the venue lists it as failed" if failed else "")

    def _refused(self, flight: _Flight, reply: Reply) -> Heard:
        if "not authorized" in reply.reason:
            raise Closed("the venue does not know our key on this connection")
        named = tuple(name for name in flight.topics if name in set(_NAMED.findall(reply.reason)) | reply.failed)
        if not named and len(flight.topics) > 1:
            middle = len(flight.topics) // 2
            self._waiting.extendleft((flight.topics[middle:], flight.topics[:middle]))
            return self._after((), (), "")
        named = named or flight.topics
        if rest := tuple(name for name in flight.topics if name not in named):
            self._waiting.appendleft(rest)
        if "already subscribed" in reply.reason:
            return self._after(named, (), "")
        return self._after((), named, reply.reason)

    def _after(self, taken: tuple[str, ...], failed: tuple[str, ...], reason: str) -> Heard:
        """What follows from an answer: what is heard now, what never will be, and the next request."""
        told: list[LiveUpdate] = []
        if taken:
            told.append(Subscribed(taken))
        if failed:
            told.append(Unsubscribed(failed, reason or "refused"))
        follow = self._ask_next()
        odd, detail = ("topics.refused", f"{', '.join(failed)}: {reason}") if failed else (None, "")
        return Heard(updates=(*told, *follow.updates), say=follow.say, odd=odd, detail=detail)

    def _ask_next(self) -> Heard:
        if self._waiting:
            return Heard(say=(self._ask(self._waiting.popleft()),))
        if self._ready or self._flights:
            return _NOTHING
        self._ready = True
        return Heard(updates=(Connected(),))

    def _ask(self, topics: tuple[str, ...]) -> str:
        self._requests += 1
        flight = _Flight(f"s{self._requests}", topics)
        self._flights.append(flight)
        return _request(flight)


def _request(flight: _Flight) -> str:
    return msgspec.json.encode({"req_id": flight.request, "op": "subscribe", "args": flight.topics}).decode()


def _news(told: tuple[Told, ...], malformed: int, heard: Heard) -> Heard:
    if not malformed:
        return heard
    return Heard(
        updates=told, alive=True, sent_at=heard.sent_at, odd="item.malformed", detail=f"{malformed} in a frame"
    )
