"""What is asked of the venue on one connection, one request at a time. Pure.

The venue's refusals do not name the request they refuse. With one request under way at a time they need not.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from bridge.sources.poloniex_v3.channels import ALL

SYMBOLS_PER_REQUEST_MAX = 50


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: a channel, and its symbols; none for a channel of the whole account. ``again``: a second try."""

    word: str
    symbols: tuple[str, ...]
    again: bool = False

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The channel and symbol of each series in it."""
        return tuple((self.word, symbol) for symbol in self.symbols) or ((self.word, ""),)


@dataclass(slots=True)
class Asks:
    """The requests of one connection. ``current`` is under way; ``given_up`` were not answered in time."""

    waiting: deque[Ask]
    current: Ask | None = None
    given_up: list[Ask] = field(default_factory=list)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], *, symbols_max: int = SYMBOLS_PER_REQUEST_MAX) -> "Asks":
        """A request for each channel, in batches; ``pairs`` are channels and symbols."""
        wanted: dict[str, list[str]] = {}
        for word, symbol in dict.fromkeys(pairs):
            wanted.setdefault(word, []).append(symbol)
        asks: deque[Ask] = deque()
        for word, symbols in wanted.items():
            asks += [Ask(word, (ALL,))] if ALL in symbols else []
            named = [symbol for symbol in symbols if symbol not in (ALL, "")]
            asks += [Ask(word, ())] if "" in symbols else []
            asks += [Ask(word, tuple(named[at : at + symbols_max])) for at in range(0, len(named), symbols_max)]
        return cls(asks)

    def next(self) -> Ask | None:
        """The next request, which is now under way; None where all were answered or given up."""
        self.current = self.waiting.popleft() if self.waiting else None
        if self.current is not None and self.current.again:
            self.given_up = [ask for ask in self.given_up if ask.pairs() != self.current.pairs()]
        return self.current

    def acknowledged(self, word: str, symbols: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """What is heard from now on. What the venue left out of a part is asked for alone, before anything else."""
        late = self._late(word, symbols)
        ask = self.current
        if ask is None or ask.word != word:
            return late
        named = symbols.intersection(ask.symbols)
        if symbols and ask.symbols and not named:
            return late
        taken = tuple(pair for pair in ask.pairs() if not named or pair[1] in named)
        self.waiting.extendleft(Ask(word, (symbol,)) for symbol in ask.symbols if named and symbol not in named)
        self.current = None
        return late + taken

    def refused(self) -> tuple[tuple[str, str], ...]:
        """What the venue will not tell. Of a request for many, each is asked for alone first, and nothing is sure."""
        ask, self.current = self.current, None
        if ask is None:
            return ()
        if len(ask.symbols) > 1:
            self.waiting.extendleft(Ask(ask.word, (symbol,)) for symbol in reversed(ask.symbols))
            return ()
        return ask.pairs()

    def overdue(self) -> tuple[tuple[str, str], ...]:
        """What is given up because no answer came. It is asked for once more, behind everything else."""
        ask, self.current = self.current, None
        if ask is None:
            return ()
        self.given_up.append(ask)
        if not ask.again:
            self.waiting.append(replace(ask, again=True))
        return ask.pairs()

    @property
    def all_asked(self) -> bool:
        """Whether everything was asked for at least once."""
        return all(ask.again for ask in self.waiting)

    def _late(self, word: str, symbols: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """What had been given up, and is acknowledged after all."""
        if self.current is not None and self.current.word == word and not symbols:
            return ()
        found = [ask for ask in self.given_up if ask.word == word and (not symbols or symbols & set(ask.symbols))]
        self.given_up = [ask for ask in self.given_up if ask not in found]
        known = {ask.pairs() for ask in found}
        self.waiting = deque(ask for ask in self.waiting if not ask.again or ask.pairs() not in known)
        return tuple(pair for ask in found for pair in ask.pairs() if not symbols or pair[1] in symbols)


def subscription(ask: Ask, *, book_depth: int | None = None) -> str:
    """The frame that asks. A channel of the whole account is asked for all symbols."""
    request: dict[str, object] = {
        "event": "subscribe",
        "channel": [ask.word],
        "symbols": list(ask.symbols) or [ALL],
    }
    if ask.word == "book" and book_depth is not None:
        request["depth"] = book_depth
    return msgspec.json.encode(request).decode()


def cancellation(ask: Ask) -> str:
    """The frame that ends a subscription."""
    request = {"event": "unsubscribe", "channel": [ask.word], "symbols": list(ask.symbols) or [ALL]}
    return msgspec.json.encode(request).decode()
