"""The venue's side of one socket: its welcome, then one request after another, then events. Pure.

One request at a time, because an error may carry the connection's id instead of the request's.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from bridge.core.channel import Channel, Model
from bridge.sources.base import Connected, LiveUpdate, Malformed, Subscribed, Unsubscribed
from bridge.sources.poloniex_v1.channels import kind_of, symbol_of
from bridge.sources.poloniex_v1.frames import Acknowledged, FrameReader, Pong, Refused, Said, Unwanted, Welcome
from bridge.sources.poloniex_v1.suspicion import Suspicion
from bridge.sources.socket import Heard

LATE_MAX = 256
REPEATS_MAX = 64
UNACKNOWLEDGED = "no acknowledgement"
JUMPED = "the venue's numbers jumped"
_NOTHING = Heard()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How subscriptions are made. ``tunnels`` spread the topics within one connection; 0 does without."""

    tunnels: int = 0
    batch_topics_max: int = 20


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request: to open ``tunnel``, or to subscribe to ``channels``, which are of one kind, through it."""

    channels: tuple[Channel, ...] = ()
    tunnel: str = ""
    again: bool = False


class SocketConversation:
    """What to answer to what was heard on one connection, which calls itself ``connect_id``.

    ``told_at`` is what the venue's clock showed before the connection was made, None where unknown.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        connect_id: str,
        manners: Manners | None = None,
        told_at: datetime | None = None,
        suspicion: Suspicion | None = None,
    ) -> None:
        self._manners = manners or Manners()
        self._reader = FrameReader(channels)
        self._connect_id = connect_id
        self._told_at = told_at
        self._suspicion = suspicion
        self._asks = deque(_asks(channels, self._manners))
        self._asked: _Ask | None = None
        self._id = ""
        self._tunnels: set[str] = set()
        self._late: dict[str, tuple[str, ...]] = {}
        self._pinged = ""
        self._newest: dict[str, int] = {}
        # Partial changes have no number, and their ids hold their content: one that comes again is no second one.
        self._said = {one.series: deque[str](maxlen=REPEATS_MAX) for one in channels if one.model is Model.MERGE}
        self._count = 0
        self._welcomed = self._ready = self._taken = False

    @property
    def ready(self) -> bool:
        return self._ready

    def open(self) -> Heard:
        """Nothing: the venue speaks first."""
        return _NOTHING

    def resubscribe(self, series: str) -> Heard:
        """Nothing: no snapshot comes on this venue's socket."""
        return _NOTHING

    def hear(self, frame: bytes) -> Heard:
        """What follows from ``frame``; junk is odd, never an end."""
        try:
            said = self._reader.read(frame)
        except Malformed as error:
            return Heard(odd="frame.malformed", detail=str(error))
        match said:
            case Said():
                return self._event(said)
            case Pong(number):
                return Heard(alive=True, pong=self._answers(number))
            case Welcome():
                if self._welcomed:
                    return _NOTHING
                self._welcomed = True
                return self._next(sent_at=self._told_at)
            case Acknowledged(number):
                return self._acknowledged(number)
            case Refused():
                return self._refused(said)
            case Unwanted(what, detail):
                return Heard(odd=what, detail=detail)

    def overdue(self) -> Heard | None:
        """Without the welcome: the end. Without an acknowledgement: its topics are given up, until it comes late.

        They are asked for once more, behind the others: a venue that did not hear us for a while may do so now.
        """
        asked = self._asked
        if not self._welcomed or asked is None:
            return None
        if len(self._late) < LATE_MAX:
            self._late[self._id] = _series(asked)
        if not self._taken and all(ask.again for ask in self._asks):
            return None
        if asked.channels and not asked.again:
            self._asks.append(replace(asked, again=True))
        return self._give_up(asked, UNACKNOWLEDGED)

    def ping(self) -> str:
        self._pinged = f"p{self._number()}"
        return _json({"id": self._pinged, "type": "ping"})

    # What is heard

    def _answers(self, number: str) -> bool:
        """Whether a pong is the first one to our ping."""
        answers = number == self._pinged != ""
        self._pinged = "" if answers else self._pinged
        return answers

    def _event(self, said: Said) -> Heard:
        event = said.told.event
        sent_at = event.occurred_at if said.proves else None
        if self._repeats(said.told.series, event.event_id):
            return Heard(alive=True, sent_at=sent_at)
        updates: tuple[LiveUpdate, ...] = (said.told,)
        if said.number is not None and self._jumped(said.told.series, said.number, event.occurred_at):
            # Counts as unheard up to now: that makes whoever follows it ask the venue's list.
            series = (said.told.series,)
            updates = (said.told, Unsubscribed(series, JUMPED), Subscribed(series))
        return Heard(updates=updates, alive=True, sent_at=sent_at)

    def _repeats(self, series: str, event_id: str) -> bool:
        """Whether a partial change was said before; from now on it was."""
        known = self._said.get(series)
        if known is None or event_id in known:
            return known is not None
        known.append(event_id)
        return False

    def _jumped(self, series: str, number: int, at: datetime | None) -> bool:
        newest = self._newest.get(series)
        self._newest[series] = number if newest is None else max(newest, number)
        if newest is None or at is None or self._suspicion is None:
            return False
        return self._suspicion.roused(series, newest, number, at)

    def _acknowledged(self, number: str) -> Heard:
        if self._asked is None or number != self._id:
            late = self._late.pop(number, ())
            self._asks = deque(ask for ask in self._asks if not ask.again or _series(ask) != late)
            if late and self._asked is not None and _series(self._asked) == late:
                return self._next(Subscribed(late))
            return Heard(updates=(Subscribed(late),), alive=True) if late else Heard(alive=True)
        asked = self._asked
        if asked.channels:
            self._taken = True
            return self._next(Subscribed(_series(asked)))
        self._tunnels.add(asked.tunnel)
        return self._next()

    def _refused(self, said: Refused) -> Heard:
        asked = self._asked
        reason = f"code {said.code}: {said.text}"
        if asked is None or said.id not in (self._id, self._connect_id):
            return Heard(odd="frame.refused", detail=reason)
        if len(asked.channels) > 1:
            self._asks.extendleft(_Ask((channel,), asked.tunnel) for channel in reversed(asked.channels))
            return self._next()
        return self._give_up(asked, reason)

    def _give_up(self, asked: _Ask, reason: str) -> Heard:
        """Go on without what was asked for; topics of a tunnel that is not opened go without it."""
        series = _series(asked)
        follow = self._next(*((Unsubscribed(series, reason),) if series else ()))
        odd = "topics.refused" if series else "tunnel.refused"
        return Heard(updates=follow.updates, say=follow.say, alive=True, odd=odd, detail=reason)

    # What is said

    def _next(self, *updates: LiveUpdate, sent_at: datetime | None = None) -> Heard:
        if not self._asks:
            self._asked = None
            already, self._ready = self._ready, True
            return Heard(updates=updates if already else (*updates, Connected()), alive=True, sent_at=sent_at)
        self._asked = self._asks.popleft()
        self._id = self._number()
        return Heard(updates=updates, say=(self._request(self._asked),), alive=True, sent_at=sent_at)

    def _request(self, ask: _Ask) -> str:
        if not ask.channels:
            return _json({"id": self._id, "type": "openTunnel", "newTunnelId": ask.tunnel, "response": True})
        topic = ask.channels[0].topic
        if len(ask.channels) > 1:
            topic = f"{topic.partition(':')[0]}:{','.join(symbol_of(channel) for channel in ask.channels)}"
        request: dict[str, object] = {
            "id": self._id,
            "type": "subscribe",
            "topic": topic,
            "privateChannel": ask.channels[0].private,
            "response": True,
        }
        if ask.tunnel in self._tunnels:
            request["tunnelId"] = ask.tunnel
        return _json(request)

    def _number(self) -> str:
        self._count += 1
        return str(self._count)


def _asks(channels: Sequence[Channel], manners: Manners) -> list[_Ask]:
    """The requests, in order: tunnels first; then the topics, those of one path and tunnel together."""
    tunnels = [f"bt{number}" for number in range(1, manners.tunnels + 1)]
    together: dict[tuple[str, str], list[Channel]] = {}
    for place, channel in enumerate(channels):
        tunnel = tunnels[place % len(tunnels)] if tunnels else ""
        # A topic without a symbol stands alone: there is nothing to join it to another with.
        path = channel.topic.partition(":")[0] if symbol_of(channel) else f"{kind_of(channel).word}!"
        together.setdefault((path, tunnel), []).append(channel)
    asks = [_Ask(tunnel=tunnel) for tunnel in tunnels]
    step = manners.batch_topics_max
    for (_, tunnel), group in together.items():
        asks += [_Ask(tuple(group[at : at + step]), tunnel) for at in range(0, len(group), step)]
    return asks


def _series(ask: _Ask) -> tuple[str, ...]:
    return tuple(channel.series for channel in ask.channels)


def _json(request: dict[str, object]) -> str:
    return msgspec.json.encode(request).decode()
