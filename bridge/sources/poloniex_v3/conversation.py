"""The venue's side of one socket: requests one after another, then pushes. Pure.

The key is told before a conversation begins: a socket that did not take it is no socket to talk on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.channel import Told
from bridge.sources.base import Connected, LiveUpdate, Malformed, Subscribed, Unsubscribed
from bridge.sources.poloniex_v3.asks import SYMBOLS_PER_REQUEST_MAX, Ask, Asks, cancellation, subscription
from bridge.sources.poloniex_v3.channels import ALL, channel_of, split
from bridge.sources.poloniex_v3.fields import moment
from bridge.sources.poloniex_v3.frames import (
    Authentication,
    Ignored,
    Pong,
    Pushed,
    Refused,
    Subscription,
    Unknown,
    read_frame,
)
from bridge.sources.poloniex_v3.jumps import Jumps
from bridge.sources.socket import Heard

PING = '{"event":"ping"}'
UNANSWERED = "no acknowledgement"
JUMPED = "the numbers jumped"
_NOTHING = Heard()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How this venue is talked to. ``book_depth`` of the channel ``book``, None for what the venue gives unasked."""

    book_depth: int | None = None
    symbols_per_request_max: int = SYMBOLS_PER_REQUEST_MAX


class SocketConversation:
    """What to answer to what was heard on one connection, which is for ``topics``.

    ``jumps`` judges the ids of trades; None where nothing is to be suspected.
    """

    def __init__(self, topics: Sequence[str], manners: Manners | None = None, jumps: Jumps | None = None) -> None:
        self._manners = manners or Manners()
        self._jumps = jumps
        self._series = {split(topic): channel_of(topic).series for topic in topics}
        self._pairs = {series: pair for pair, series in self._series.items()}
        self._asks = Asks.of(self._series, symbols_max=self._manners.symbols_per_request_max)
        self._newest: dict[str, int] = {}
        self._ready = False
        self._answered = False

    @property
    def ready(self) -> bool:
        return self._ready

    def open(self) -> Heard:
        """The first request: here the client speaks first."""
        return self._ask_next()

    def hear(self, frame: bytes) -> Heard:
        """What follows from ``frame``; junk is odd, never an end."""
        try:
            said = read_frame(frame)
        except Malformed as error:
            return Heard(odd="frame.malformed", detail=str(error))
        match said:
            case Pushed():
                return self._pushed(said)
            case Pong():
                return Heard(alive=True, pong=True)
            case Subscription(word, symbols):
                return self._acknowledged(word, symbols)
            case Refused(reason):
                return self._refused(reason)
            case Unknown(kind):
                return Heard(odd="frame.unknown", detail=kind)
            case Authentication() | Ignored():
                return _NOTHING

    def resubscribe(self, series: str) -> Heard:
        """Leave the channel and take it again: a venue that thinks we have it need not send its snapshot."""
        pair = self._pairs.get(series)
        if pair is None:
            return _NOTHING
        ask = Ask(pair[0], (pair[1],) if pair[1] else ())
        return Heard(say=(cancellation(ask), self._subscription(ask)))

    def overdue(self) -> Heard | None:
        """A request that nobody answers is given up for now; a connection on which nothing was answered is left."""
        lost = self._asks.overdue()
        if not self._answered and self._asks.all_asked:
            return None
        follow = self._ask_next()
        return Heard(
            updates=(*self._unsubscribed(lost, UNANSWERED), *follow.updates),
            say=follow.say,
            odd="channels.unanswered",
            detail=f"{len(lost)} channels",
        )

    def ping(self) -> str:
        return PING

    def _pushed(self, said: Pushed) -> Heard:
        told: list[LiveUpdate] = []
        numbers: dict[str, list[int]] = {}
        sent_ms = 0
        odd = None if said.malformed is None else "row.malformed"
        detail = said.malformed or ""
        for item in said.items:
            series = self._series.get((said.word, item.symbol)) or self._series.get((said.word, ALL))
            if series is None:
                odd, detail = "frame.unwanted", said.word
                continue
            told.append(Told(series, item.event, item.link, item.step))
            sent_ms = max(sent_ms, item.sent_ms or 0)
            if item.number is not None:
                numbers.setdefault(series, []).append(item.number)
        suspected = self._suspected(numbers, sent_ms) if numbers and self._jumps is not None else ()
        if suspected:
            odd, detail = "trades.jump", ", ".join(suspected)
            told = [Unsubscribed(suspected, JUMPED), Subscribed(suspected), *told]
        sent_at = moment(sent_ms) if sent_ms else None
        return Heard(updates=tuple(told), alive=True, sent_at=sent_at, odd=odd, detail=detail)

    def _suspected(self, numbers: dict[str, list[int]], sent_ms: int) -> tuple[str, ...]:
        """The channels of which something may have been swallowed: they count as unheard up to now.

        That makes whoever follows them ask the venue's list for the time up to now.
        """
        assert self._jumps is not None
        suspected = []
        for series, said in numbers.items():
            last = self._newest.get(series)
            self._newest[series] = max(said if last is None else [last, *said])
            if last is not None and self._jumps.suspicious(series, last, said, sent_ms):
                suspected.append(series)
        return tuple(suspected)

    def _acknowledged(self, word: str, symbols: frozenset[str]) -> Heard:
        under_way = self._asks.current
        taken = self._asks.acknowledged(word, symbols)
        self._answered |= bool(taken)
        heard = tuple(self._series[pair] for pair in taken)
        updates: tuple[LiveUpdate, ...] = (Subscribed(heard),) if heard else ()
        if under_way is None or self._asks.current is under_way:
            return Heard(updates=updates, alive=True)
        follow = self._ask_next()
        return Heard(updates=(*updates, *follow.updates), say=follow.say, alive=True)

    def _refused(self, reason: str) -> Heard:
        if self._asks.current is None:
            return Heard(odd="frame.refused", detail=reason)
        self._answered = True
        lost = self._unsubscribed(self._asks.refused(), reason)
        follow = self._ask_next()
        odd = "channels.refused" if lost else None
        return Heard(updates=(*lost, *follow.updates), say=follow.say, alive=True, odd=odd, detail=reason)

    def _unsubscribed(self, pairs: tuple[tuple[str, str], ...], reason: str) -> tuple[LiveUpdate, ...]:
        series = tuple(self._series[pair] for pair in pairs)
        return (Unsubscribed(series, reason),) if series else ()

    def _ask_next(self) -> Heard:
        ask = self._asks.next()
        if ask is not None:
            return Heard(say=(self._subscription(ask),))
        if self._ready:
            return _NOTHING
        self._ready = True
        return Heard(updates=(Connected(),))

    def _subscription(self, ask: Ask) -> str:
        return subscription(ask, book_depth=self._manners.book_depth)
