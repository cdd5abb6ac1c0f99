"""The venue's words for what happened: frames and rows, each with the id and the second it goes by."""

import hashlib
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import NamedTuple

import msgspec

from bridge.sim.market import Assigned, Push
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    BookSnapshot,
    Fill,
    OrderChange,
    Side,
    Status,
    Tick,
    Trade,
)
from bridge.sim.market.ids import ms_of, ulid_of, whole_s

Row = dict[str, object]
_PLACES = Decimal("0.0000000000000001")
_PERCENT = "0.00"


class Data(NamedTuple):
    """What stands in ``data`` of a frame, already written."""

    text: bytes
    at_s: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()[:16]


def plain(value: Decimal) -> str:
    """Without zeros at its end and without an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def padded(value: Decimal) -> str:
    """With sixteen places, as the venue likes it."""
    return f"{value.quantize(_PLACES):f}"


def number(value: Decimal) -> msgspec.Raw:
    """A JSON number: the venue mixes numbers and texts."""
    return msgspec.Raw(plain(value).encode())


def second_of(at: datetime) -> int:
    return ms_of(at) // 1000


def written(at: datetime) -> str:
    """A time as the lists write it, without a zone."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def frame(kind: str, data: bytes, request: int | str = 0) -> bytes:
    head = msgspec.json.encode(request)
    return b'{"id":%b,"method":"%b_update","data":%b,"error":null}' % (head, kind.encode(), data)


def trades_push(symbol: str, trades: list[Trade]) -> Push:
    """The prints of one step in one frame; they have no ids here."""
    rows = [
        {
            "price": number(trade.price),
            "quantity": number(trade.quantity),
            "timestamp": second_of(trade.at),
            "direction": trade.side.value,
        }
        for trade in trades
    ]
    data = {"symbol": symbol, "timestamp": second_of(trades[-1].at), "trades": rows}
    items = tuple(Assigned(trade_id(trade), whole_s(trade.at)) for trade in trades)
    return Push(f"trade.{symbol}", f"trade:{symbol}", frame("trade", msgspec.json.encode(data)), items)


def trade_id(trade: Trade) -> str:
    content = f"{plain(trade.price)}:{plain(trade.quantity)}:{trade.side.value}"
    return f"{trade.symbol}:{second_of(trade.at)}:{content}"


def trade_row(trade: Trade) -> Row:
    """As the list has it: what was traded is the quote's volume, and what it cost the base's."""
    return {
        "trade_id": ulid_of(trade.token, trade.at),
        "price": plain(trade.price),
        "base_volume": plain(trade.price * trade.quantity),
        "quote_volume": padded(trade.quantity),
        "timestamp": second_of(trade.at),
        "type": trade.side.value,
    }


def prices(tick: Tick) -> tuple[Data, Data]:
    """The data of a last price and of a ticker."""
    at_s, price = second_of(tick.at), padded(tick.price)
    last: Row = {"symbol": tick.symbol, "timestamp": at_s, "price": price}
    more = dict.fromkeys(("open", "high", "low"), price)
    volume = {"volume": padded(tick.bid), "quote_volume": padded(tick.ask), "price_change": _PERCENT}
    return Data(msgspec.json.encode(last), at_s), Data(msgspec.json.encode({**last, **more, **volume}), at_s)


def book_changed(change: BookChange) -> Data:
    """The levels that changed, absolute; a value of 0 takes one away."""
    sides: dict[Side, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
    for level in change.levels:
        sides[level.side].append([plain(level.price), plain(level.quantity)])
    return _book(change.symbol, change.at, sides[Side.BUY], sides[Side.SELL], whole=False)


def book_whole(book: BookSnapshot, at: datetime) -> Data:
    bids, asks = ([[plain(price), plain(size)] for price, size in side] for side in (book.bids, book.asks))
    return _book(book.symbol, at, bids, asks, whole=True)


def _book(symbol: str, at: datetime, bids: list[list[str]], asks: list[list[str]], *, whole: bool) -> Data:
    head: Row = {"symbol": symbol, "timestamp": second_of(at), "full_reload": whole, "scale_index": 0}
    return Data(msgspec.json.encode({**head, "asks": asks, "bids": bids}), second_of(at))


def book_id(symbol: str, data: Data) -> str:
    return f"{symbol}:0:{data.at_s}:{data.digest}"


class Ours:
    """What is told of our account. Each frame bears a number as text, which means nothing."""

    def __init__(self) -> None:
        self._frames = count(1)

    def order(self, change: OrderChange) -> Push:
        """Of an order's states only the last one is in the lists: the others need not be held by anybody."""
        at_s = second_of(change.at)
        word = {Status.NEW: "created", Status.PARTLY_FILLED: "updated"}.get(change.status, "finished")
        info: Row = {
            "id": order_id(change),
            "symbol": change.symbol,
            "orderType": "limit",
            "direction": change.side.value,
            "price": padded(change.price),
            "quantity": padded(change.quantity),
            "value": padded(change.price * change.quantity),
            "filledQuantity": padded(change.filled),
            "filledValue": padded(change.filled_value),
            "clientOid": None,
            "createTs": second_of(change.created_at),
        }
        if word == "updated":
            info["updateTs"] = at_s
        if word == "finished":
            info |= {"finishTs": at_s, **state_of(change)}
        item = Assigned(state_id(change, word), whole_s(change.at), optional=word != "finished")
        return self._push("order", change.symbol, {"type": word, "info": info}, item)

    def deal(self, fill: Fill, deal_id: str) -> Push:
        info = {
            "dealId": deal_id,
            "symbol": fill.symbol,
            "dealState": "completed",
            "transactionId": ulid_of(fill.token, fill.at),
            **fill_words(fill),
            "committedAt": second_of(fill.at),
        }
        item = Assigned(ulid_of(fill.token, fill.at), whole_s(fill.at))
        return self._push("deal", fill.symbol, {"info": info}, item)

    def balance(self, change: BalanceChange, wallet_id: str) -> Push:
        """No time anywhere; the amount is unsigned, and old and new differ in their places."""
        info = {
            "walletId": wallet_id,
            "currencyCode": change.currency,
            "amount": padded(abs(change.new - change.old)),
            "oldBalance": padded(change.old),
            "newBalance": plain(change.new),
        }
        item = Assigned(f"{wallet_id}:{plain(change.old)}:{plain(change.new)}", change.at)
        return self._push("balance", change.currency, {"info": info}, item)

    def _push(self, kind: str, what: str, data: Row, item: Assigned) -> Push:
        told = frame(kind, msgspec.json.encode(data), str(next(self._frames)))
        return Push(kind, f"{kind}:{what}", told, (item,))


def order_id(change: OrderChange) -> str:
    return ulid_of(change.order_id, change.created_at)


def state_id(change: OrderChange, word: str) -> str:
    """States of one order sort as they follow each other: by their kind, then by what is filled."""
    rank = {"created": 0, "finished": 2}.get(word, 1)
    filled = plain(change.filled)
    return f"{order_id(change)}:{rank}{word}:{len(filled.split('.')[0]):02d}:{filled}"


def state_of(change: OrderChange) -> Row:
    if change.status is Status.FILLED:
        return {"state": "completed", "internalState": "filled"}
    return {"state": "cancelled", "internalState": "cancelled"}


def fill_words(fill: Fill) -> Row:
    return {
        "filledPrice": padded(fill.price),
        "filledQuantity": padded(fill.quantity),
        "filledValue": padded(fill.price * fill.quantity),
        "fee": padded(fill.fee),
        "feeCurrency": fill.fee_currency,
        "tradeRole": "maker" if fill.maker else "taker",
    }
