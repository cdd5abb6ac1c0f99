"""The lists that need a key: fills, orders, positions, balances; their windows, cursors and refusals."""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bridge.sim.bybit.signing import API_KEY, API_SECRET, rest_signature
from bridge.sim.bybit.words import (
    CATEGORY,
    Row,
    encode,
    fill_told,
    order_told,
    position_told,
    wallet_row,
)
from bridge.sim.market import Answer, Asked, Assigned, Market, Way
from bridge.sim.market.facts import BalanceChange, Fill, OrderChange, PositionChange
from bridge.sim.market.ids import ms_of, whole_ms

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW_MS_MAX = 7 * 86_400_000
AHEAD_MS_MAX = 1_000
ENDED_MAX = 500
UNFILLED_KEPT = timedelta(hours=24)
PARAMETERS, CLOCK, KEY, SIGNATURE = 10001, 10002, 10003, 10004
PRODUCTS = ("spot", "linear", "inverse", "option")


class Numbered(NamedTuple):
    """A row and the number of its fact, by which pages go on."""

    nth: int
    row: Row


class Refused(Exception):
    """The venue's code for why not."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def answered(result: object, now: datetime, *, code: int = 0, text: str = "OK") -> Answer:
    """The envelope that every answer comes in; also a refusal is a 200."""
    return Answer(encode({"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": ms_of(now)}))


class Lists:
    """``raced``: whether an order was told as filled a second time, which its row then shows."""

    def __init__(self, market: Market, *, raced: Callable[[OrderChange], bool]) -> None:
        self._market = market
        self._raced = raced

    def ways(self) -> Sequence[Way]:
        return [
            Way("GET", "/v5/execution/list", self._keyed(self._executions)),
            Way("GET", "/v5/order/realtime", self._keyed(self._realtime)),
            Way("GET", "/v5/order/history", self._keyed(self._ended)),
            Way("GET", "/v5/position/list", self._keyed(self._positions)),
            Way("GET", "/v5/account/wallet-balance", self._keyed(self._wallet)),
        ]

    def _keyed(self, answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        def respond(asked: Asked) -> Answer:
            try:
                check_signature(asked)
                return answer(asked)
            except Refused as refused:
                return answered({}, asked.now, code=refused.code, text=str(refused))

        return respond

    def _executions(self, asked: Asked) -> Answer:
        since, until = window_of(asked)
        facts = self._market.history.between(Fill, since, min(until, asked.as_of), newest_first=True)
        return page(asked, [Numbered(f.nth, bare(fill_told(f).row)) for f in facts], most=100, otherwise=50)

    def _realtime(self, asked: Asked) -> Answer:
        demand_coin(asked)
        ended = asked.params.get("openOnly", "0") != "0"
        latest = self._market.history.latest(OrderChange, asked.as_of)
        chosen = [fact for fact in latest if fact.status.final == ended]
        chosen = sorted(chosen, key=lambda fact: fact.nth, reverse=True)[: ENDED_MAX if ended else None]
        return page(asked, [Numbered(fact.nth, self._order(fact)) for fact in chosen], most=50, otherwise=20)

    def _ended(self, asked: Asked) -> Answer:
        """By birth; those that were never filled vanish after a day."""
        since, until = window_of(asked)
        facts = [
            fact
            for fact in self._market.history.latest(OrderChange, asked.as_of)
            if fact.status.final
            and since <= whole_ms(fact.created_at) <= until
            and (fact.filled or asked.now - fact.at < UNFILLED_KEPT)
        ]
        facts.sort(key=lambda fact: fact.nth, reverse=True)
        return page(asked, [Numbered(fact.nth, self._order(fact)) for fact in facts], most=50, otherwise=20)

    def _positions(self, asked: Asked) -> Answer:
        demand_coin(asked)
        latest = self._market.history.latest(PositionChange, asked.as_of)
        rows = [Numbered(fact.nth, bare(position_told(fact).row)) for fact in reversed(latest)]
        return page(asked, rows, most=200, otherwise=20)

    def _wallet(self, asked: Asked) -> Answer:
        if asked.params.get("accountType") != "UNIFIED":
            raise Refused(PARAMETERS, "accountType")
        row = wallet_row(self._market.history.latest(BalanceChange, asked.as_of))
        item = Assigned(f"listed:{ms_of(asked.now)}:0", whole_ms(asked.now))
        return answered({"list": [row]}, asked.now)._replace(told=(("wallet", item),))

    def _order(self, fact: OrderChange) -> Row:
        return bare(order_told(fact, raced=self._raced(fact)).row)


def bare(row: Row) -> Row:
    """A row of a list, which does not name the product it was asked for."""
    return {name: value for name, value in row.items() if name != "category"}


def check_signature(asked: Asked) -> None:
    """Raises Refused."""
    headers = asked.headers
    stamp, window = headers.get("x-bapi-timestamp", ""), headers.get("x-bapi-recv-window", "5000")
    if headers.get("x-bapi-api-key") != API_KEY:
        raise Refused(KEY, "API key is invalid.")
    if not (stamp.isdigit() and window.isdigit()):
        raise Refused(PARAMETERS, "timestamp")
    now = ms_of(asked.now)
    if not now - int(window) <= int(stamp) < now + AHEAD_MS_MAX:
        raise Refused(CLOCK, "invalid request, please check your server timestamp or recv_window param")
    if headers.get("x-bapi-sign") != rest_signature(API_SECRET, API_KEY, stamp, window, asked.query):
        raise Refused(SIGNATURE, "error sign!")


def window_of(asked: Asked) -> tuple[datetime, datetime]:
    """From and until when, both inclusive: seven days at most, which is also what is missing. Raises Refused."""
    now, params = ms_of(asked.now), asked.params
    if any(not params[name].isdigit() for name in ("startTime", "endTime") if name in params):
        raise Refused(PARAMETERS, "time")
    start, end = (int(params[name]) if name in params else None for name in ("startTime", "endTime"))
    if start is None:
        start = (now if end is None else end) - WINDOW_MS_MAX
    if end is None:
        end = start + WINDOW_MS_MAX
    if not 0 <= end - start <= WINDOW_MS_MAX:
        raise Refused(PARAMETERS, "The time range between startTime and endTime cannot exceed 7 days")
    # The last millisecond counts as a whole.
    return _ORIGIN + timedelta(milliseconds=start), _ORIGIN + timedelta(milliseconds=end, microseconds=999)


def demand_coin(asked: Asked) -> None:
    """Lists of linear contracts want to know which. Raises Refused."""
    named = {"symbol", "baseCoin", "settleCoin"} & set(asked.params)
    if asked.params.get("category") == "linear" and not named:
        raise Refused(PARAMETERS, "Missing some parameters that must be filled in")


def page(asked: Asked, rows: Iterable[Numbered], *, most: int, otherwise: int) -> Answer:
    """One page of ``rows``, newest first, with an opaque cursor to the next. Raises Refused."""
    category = asked.params.get("category", "")
    if category not in PRODUCTS:
        raise Refused(PARAMETERS, "category")
    limit = asked.params.get("limit", str(otherwise))
    if not limit.isdigit() or not 1 <= int(limit) <= most:
        raise Refused(PARAMETERS, "limit")
    given = asked.params.get("cursor", "")
    before = _opened(given) if given else None
    here = [row for row in rows if before is None or row.nth < before] if category == CATEGORY else []
    shown = here[: asked.limit(int(limit))]
    cursor = _sealed(shown[-1].nth) if len(here) > len(shown) else ""
    if asked.looping and given:
        cursor = given
    listed = {"list": [one.row for one in shown], "nextPageCursor": cursor, "category": category}
    return answered(listed, asked.now)


def _sealed(nth: int) -> str:
    return f"page%3D{base64.urlsafe_b64encode(str(nth).encode()).decode()}%26"


def _opened(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor.removeprefix("page%3D").removesuffix("%26")))
    except (binascii.Error, ValueError):
        raise Refused(PARAMETERS, "cursor") from None
