"""The venue's side of one socket: subscriptions first, then updates, and a ping in time. Pure.

The venue hangs up on a client that asks for nothing, however much it tells. Answers are known by their ``id`` alone.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from bridge.core.channel import Channel, Told
from bridge.core.event import Event
from bridge.sources.base import Connected, LiveUpdate, Malformed, Subscribed, Unsubscribed
from bridge.sources.cryptomus import identity
from bridge.sources.cryptomus.channels import ALL, Topic, topic_of
from bridge.sources.cryptomus.frames import Answered, Pong, Refused, Unknown, Update, read_frame
from bridge.sources.cryptomus.stamps import VenueTime, Wallets
from bridge.sources.cryptomus.subscriptions import Outcome, Request, Subscriptions
from bridge.sources.socket import Heard

NO_ANSWER = "no acknowledgement"
_NOTHING = Heard()


class SocketConversation:
    """What to answer to what was heard on one connection.

    ``greeted_at`` is the venue's clock when it gave the token, None where unknown. ``hold_s``: how long the venue
    may tell changes of a balance twice or out of order.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        time: VenueTime,
        greeted_at: datetime | None = None,
        hold_s: float = 2.0,
    ) -> None:
        self._series: dict[Topic, str] = {topic_of(channel.topic): channel.series for channel in channels}
        self._topics = {channel.series: topic_of(channel.topic) for channel in channels}
        self._asking = Subscriptions(tuple(self._series))
        self._time = time
        self._greeted_at = greeted_at
        self._wallets = Wallets(hold_s)
        self._newest: dict[str, str] = {}
        self._requests = 0
        self._asked: int | None = None
        self._again: dict[int, str] = {}
        self._ready = False

    @property
    def ready(self) -> bool:
        return self._ready

    def open(self) -> Heard:
        """The first subscription. The token's answer told the venue's time."""
        outcome = self._asking.next()
        return Heard(say=self._subscribe(outcome.say), sent_at=self._greeted_at)

    def hear(self, frame: bytes) -> Heard:
        """What follows from ``frame``; junk is odd, never an end."""
        try:
            said = read_frame(frame)
        except Malformed as error:
            return Heard(odd="frame.malformed", detail=str(error))
        match said:
            case Update():
                return self._update(said)
            case Answered(request):
                return self._answered(request)
            case Refused(request, reason):
                return self._refused(request, reason)
            case Pong():
                return Heard(alive=True, pong=True)
            case Unknown(method):
                return Heard(odd="frame.unknown", detail=method)

    def overdue(self) -> Heard | None:
        """A kind that is not answered is given up for now; a connection on which nothing was taken, for good."""
        if self._asked is None:
            return None
        heard = self._follow(self._asking.unanswered(NO_ANSWER), odd="subscription.unanswered")
        return None if self._asking.deaf else heard

    def ping(self) -> str:
        return self._say(Request("ping", ()))

    def resubscribe(self, series: str) -> Heard:
        """For a book: its kind anew, with the complete list; the other books of this connection are told anew too."""
        topic = self._topics.get(series)
        if topic is None or topic.kind != "depth":
            return _NOTHING
        say = tuple(self._say(request) for request in self._asking.anew(topic.kind))
        if say:
            self._again[self._requests] = topic.kind
        return Heard(say=say)

    def _update(self, update: Update) -> Heard:
        series = [
            name
            for topic in (Topic(update.kind, update.what), Topic(update.kind, ALL))
            if (name := self._series.get(topic)) is not None
        ]
        if not series:
            return Heard(alive=True, odd="frame.unwanted", detail=update.kind)
        events = update.events
        sent_at = max((event.occurred_at for event in events if event.occurred_at is not None), default=None)
        if sent_at is not None:
            self._time.note(sent_at)
        if update.step is not None:
            at = self._wallets.place(update.step, self._time.now())
            event_id = identity.balance(update.step, at)
            events = tuple(event._replace(event_id=event_id, occurred_at=at) for event in events)
        if update.link is not None and self._repeated(update.what, events) and not update.link.snapshot:
            return Heard(alive=True, sent_at=sent_at)
        told = tuple(Told(name, event, update.link, update.step) for name in series for event in events)
        return Heard(updates=told, alive=True, sent_at=sent_at)

    def _repeated(self, book: str, events: tuple[Event, ...]) -> bool:
        """Whether a book's change is the one before it, told again: it would change nothing."""
        (event,) = events
        before, self._newest[book] = self._newest.get(book), event.event_id
        return before == event.event_id

    def _answered(self, request: int) -> Heard:
        if self._asked is not None and request == self._asked:
            return self._follow(self._asking.answered())
        self._again.pop(request, None)
        return Heard(alive=True)

    def _refused(self, request: int | None, reason: str) -> Heard:
        if request is not None and request == self._asked:
            return self._follow(self._asking.refused(reason), odd="subscription.refused", detail=reason)
        kind = self._again.pop(request, None) if request is not None else None
        if kind is None:
            return Heard(odd="frame.refused", detail=reason)
        series = tuple(name for topic, name in self._series.items() if topic.kind == kind)
        return Heard(updates=(Unsubscribed(series, reason),), odd="subscription.refused", detail=reason)

    def _follow(self, outcome: Outcome, *, odd: str | None = None, detail: str = "") -> Heard:
        updates: list[LiveUpdate] = []
        if outcome.refused:
            updates.append(Unsubscribed(self._names(outcome.refused), outcome.reason))
        if outcome.heard:
            updates.append(Subscribed(self._names(outcome.heard)))
        say = self._subscribe(outcome.say)
        if self._asking.done:
            self._ready = True
            updates.append(Connected())
        return Heard(updates=tuple(updates), say=say, alive=odd is None, odd=odd, detail=detail)

    def _names(self, topics: tuple[Topic, ...]) -> tuple[str, ...]:
        return tuple(self._series[topic] for topic in topics)

    def _subscribe(self, requests: tuple[Request, ...]) -> tuple[str, ...]:
        """The requests as text; the last one's answer is waited for."""
        said = tuple(self._say(request) for request in requests)
        self._asked = self._requests if said else None
        return said

    def _say(self, request: Request) -> str:
        self._requests += 1
        asked = {"id": self._requests, "method": request.method, "params": request.params}
        return msgspec.json.encode(asked).decode()
