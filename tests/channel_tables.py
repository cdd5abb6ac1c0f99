"""The channel tables of the venues as the pages show them: ``python -m tests.channel_tables`` writes them anew.

A row stands for every channel of one form, such as ``trades:SYMBOL``; forms whose rows say the same share one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bridge.core.channel import Channel
from bridge.sources.bybit import channels as bybit
from bridge.sources.bybit.kinds import KINDS as BYBIT_KINDS
from bridge.sources.cryptomus import channels as cryptomus
from bridge.sources.playbatman import channels as playbatman
from bridge.sources.poloniex_v1 import channels as poloniex_v1
from bridge.sources.poloniex_v3 import channels as poloniex_v3

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- channels -->", "<!-- /channels -->"
PLACE = re.compile(rf"{re.escape(BEGIN)}\n(.*?)\n?{re.escape(END)}", re.DOTALL)
HEAD = "| channel | model | repair | how far that reaches | what nobody can notice |\n| --- | --- | --- | --- | --- |"
EVERY_LOSS_SHOWS = "-"


class Form(NamedTuple):
    """How a kind of channel is written, and a channel of that kind."""

    written: str
    channel: Channel


def forms() -> Mapping[str, list[Form]]:
    """Every venue's forms, in the order of its table."""
    return {
        "playbatman": [Form(f"NAME.{one.series}", one) for one in (playbatman.EVENTS, playbatman.SOCKET)],
        "bybit": list(_bybit()),
        "cryptomus": list(_cryptomus()),
        "poloniex_v1": [_poloniex_v1(kind) for kind in poloniex_v1.KINDS],
        "poloniex_v3": list(_poloniex_v3()),
    }


def page_of(venue: str) -> Path:
    return DOCS / "venues.md" if venue == "playbatman" else DOCS / "venues" / f"{venue}.md"


def table(venue_forms: Iterable[Form]) -> str:
    """The table in Markdown."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for form in venue_forms:
        channel = form.channel
        said = (
            channel.model.value,
            channel.repair.value,
            channel.reach,
            channel.unnoticed or EVERY_LOSS_SHOWS,
        )
        name, _, remark = form.written.partition(" ")
        written = " ".join((f"`{name}`", *filter(None, (remark, "(private)" if channel.private else ""))))
        rows.setdefault(said, []).append(written)
    return "\n".join([HEAD, *(f"| {' | '.join((', '.join(names), *said))} |" for said, names in rows.items())])


def shown(page: Path) -> str:
    """The table as it stands on ``page``."""
    [found] = PLACE.findall(page.read_text(encoding="utf-8"))
    return str(found)


# The whole form is spelt out, because a pattern says it to machines only.
_BYBIT = {
    "orderbook": {
        "linear": ("orderbook.DEPTH.SYMBOL", "orderbook.50.A"),
        "option": ("orderbook.DEPTH.SYMBOL (options)", "orderbook.25.A"),
    },
    "orderbook.full": {"linear": ("orderbook.full.SYMBOL", "orderbook.full.A")},
    "orderbook.1": {"linear": ("orderbook.1.SYMBOL", "orderbook.1.A")},
    "publicTrade": {"linear": ("publicTrade.SYMBOL", "publicTrade.A")},
    "tickers": {
        "linear": ("tickers.SYMBOL (futures)", "tickers.A"),
        "spot": ("tickers.SYMBOL (spot, options)", "tickers.A"),
    },
    "kline": {"linear": ("kline.INTERVAL.SYMBOL", "kline.1.A")},
    "allLiquidation": {"linear": ("allLiquidation.SYMBOL", "allLiquidation.A")},
    "insurance": {"linear": ("insurance.COIN", "insurance.USDT")},
    "adlAlert": {"linear": ("adlAlert.COIN", "adlAlert.USDT")},
    "priceLimit": {"linear": ("priceLimit.SYMBOL", "priceLimit.A")},
}


def _bybit() -> Iterator[Form]:
    told = set()
    for kind in BYBIT_KINDS:
        written, example = kind.word, kind.word
        category = "linear" if "linear" in kind.categories else kind.categories[0]
        if not kind.private:
            written, example = _BYBIT[kind.word][category]
        topic = bybit.topic_of(example, category=category)
        told.add(topic.kind)
        yield Form(written, topic.channel)
    assert told == set(BYBIT_KINDS), "a row of the table has no form here"


def _cryptomus() -> Iterator[Form]:
    whats = {"depth": ("MARKET:SCALE", "A_B:1"), "balance": ("CURRENCY", "A")}
    for kind in cryptomus.KINDS:
        what, example = whats.get(kind, ("MARKET", "A_B"))
        yield Form(f"{kind}:{what}", cryptomus.channel_of(f"{kind}:{example}"))
    yield Form("NAME.payments by webhook", cryptomus.PAYMENTS)


def _poloniex_v1(kind: poloniex_v1.Kind) -> Form:
    written = {"must": f"{kind.path}:SYMBOL", "may": f"{kind.path}[:SYMBOL]", "never": kind.path}[kind.symbols]
    return Form(written, poloniex_v1.channel_of(kind.path + (":A" if kind.symbols == "must" else "")))


def _poloniex_v3() -> Iterator[Form]:
    seen = set()
    for word, row in poloniex_v3.TABLE.items():
        written = re.sub(r"candles_\w+", "candles_PERIOD", word)
        if written not in seen:
            seen.add(written)
            topic = f"{word}:A_B" if row.symbols else word
            yield Form(f"{written}:SYMBOL" if row.symbols else word, poloniex_v3.channel_of(topic))


def written_anew(page: str, known: Iterable[Form]) -> str:
    """The page with that table in its place."""
    placed = f"{BEGIN}\n{table(known)}\n{END}"
    return PLACE.sub(lambda _: placed, page)


if __name__ == "__main__":
    for venue, known in forms().items():
        path = page_of(venue)
        path.write_text(written_anew(path.read_text(encoding="utf-8"), known), encoding="utf-8")
