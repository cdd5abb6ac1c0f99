"""The lists: what is asked, what is made of short, endless and unreadable answers, and what is claimed."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import count, pairwise

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.channel import Link
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.poloniex_v1.channels import channel_of
from bridge.sources.poloniex_v1.lists import ListLimits
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys, signature
from bridge.sources.poloniex_v1.source import PoloniexV1
from bridge.sources.rest import RestLimits
from tests.sources.poloniex_v1.recorded import ORDER, SYMBOL, TOPICS, us

S = 1_000_000
SINCE, UNTIL, NOW = us(0), us(60 * S), us(90 * S)
US = timedelta(microseconds=1)
MS = timedelta(milliseconds=1)
Row = dict[str, object]
BOOK = channel_of(f"/contractMarket/level2:{SYMBOL}")
TRADES = channel_of(f"/contractMarket/execution:{SYMBOL}")
ORDERS = channel_of("/contractMarket/tradeOrders")


def answer(data: object, code: object = "200000", *, status: int = 200, at: datetime = NOW) -> httpx.Response:
    headers = {"date": format_datetime(at, usegmt=True)}
    return httpx.Response(status, text=json.dumps({"code": code, "data": data}), headers=headers)


class Venue:
    """Answers by path, and remembers what was asked. A list is given again and again; a function decides."""

    def __init__(self, **routes: object) -> None:
        self.routes = {path.replace("__", "/"): given for path, given in routes.items()}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.routes[request.url.path.partition("/api/")[2][3:]]
        found = given(request) if callable(given) else given
        return found if isinstance(found, httpx.Response) else answer(found)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.asked]


def source_of(venue: Venue, *, lists: ListLimits | None = None) -> PoloniexV1:
    options = PoloniexV1Options(
        name="po",
        topics=TOPICS,
        rest_url="http://venue.test",
        keys=Keys(api_key="k", api_secret="s", passphrase="p"),
        currencies=("USDT", "BTC"),
        lists=lists or ListLimits(),
        rest=RestLimits(attempts_max=3, requests_per_s=1000),
    )
    return PoloniexV1(options, clock=ManualClock(NOW), jitter=lambda: 0.5, transport=httpx.MockTransport(venue))


def trade(number: int, at_us: int) -> Row:
    return {"sequence": number, "tradeId": f"t{number}", "symbol": SYMBOL, "ts": (1760000000 * S + at_us) * 1000}


def fill(number: int, at_us: int, order: str = ORDER) -> Row:
    ns = (1760000000 * S + at_us) * 1000
    return {"tradeId": f"t{number}", "orderId": order, "symbol": SYMBOL, "tradeTime": ns, "createdAt": ns // 10**6}


def order(made_s: float, touched_s: float) -> Row:
    return {
        "id": ORDER,
        "createdAt": int((1760000000 + made_s) * 1000),
        "updatedAt": int((1760000000 + touched_s) * 1000),
    }


def paged(rows: list[Row], *, total: int | None = None) -> Callable[[httpx.Request], httpx.Response]:
    def page(request: httpx.Request) -> httpx.Response:
        number, size = int(request.url.params["currentPage"]), int(request.url.params["pageSize"])
        items = rows[(number - 1) * size : number * size]
        return answer({"currentPage": number, "totalNum": len(rows) if total is None else total, "items": items})

    return page


def private(**routes: object) -> Venue:
    quiet: dict[str, object] = {"recentDoneOrders": [], "orders": paged([]), "recentFills": [], "fills": paged([])}
    return Venue(**(quiet | routes))


async def test_the_last_trades_prove_the_time_behind_the_oldest_of_them() -> None:
    venue = Venue(trade__history=[trade(number, number * S) for number in range(107, 7, -1)])
    recalled = await source_of(venue).recall(TRADES, SINCE, UNTIL)
    assert len(venue.asked) == 1
    assert {told.event.event_id for told in recalled.told} == {f"t{number}" for number in range(8, 108)}
    assert recalled.complete_from == us(8 * S) + US
    assert recalled.venue_now == NOW
    assert not recalled.superseding


async def test_a_short_list_of_trades_is_asked_for_again_unless_it_reaches_back() -> None:
    reaching = Venue(trade__history=[trade(2, 2 * S), trade(1, -S)])
    assert (await source_of(reaching).recall(TRADES, SINCE, UNTIL)).complete_from == us(-S) + US
    assert len(reaching.asked) == 1
    answers = [[trade(3, 3 * S)], [trade(3, 3 * S), trade(2, 2 * S)]]
    short = Venue(trade__history=lambda request: answer(answers.pop(0)))
    recalled = await source_of(short).recall(TRADES, SINCE, UNTIL)
    assert recalled.complete_from == us(2 * S) + US
    assert [told.event.event_id for told in recalled.told] == ["t3", "t2"]


async def test_no_trades_prove_nothing() -> None:
    recalled = await source_of(Venue(trade__history=[])).recall(TRADES, SINCE, UNTIL)
    assert (recalled.told, recalled.complete_from) == ((), None)


async def test_a_fill_has_the_id_that_the_socket_gives_it() -> None:
    venue = private(recentFills=[fill(1, S)], fills=paged([fill(1, S), fill(2, 2 * S)]))
    recalled = await source_of(venue).recall(ORDERS, SINCE, UNTIL)
    assert {told.event.event_id for told in recalled.told} == {f"{ORDER}:match:t1", f"{ORDER}:match:t2"}
    assert len(recalled.told) == 2
    assert recalled.told[0].event.occurred_at == us(S)


async def test_both_sides_of_a_trade_with_ourselves_are_two_fills() -> None:
    venue = private(recentFills=[fill(1, S, "a"), fill(1, S, "b")])
    recalled = await source_of(venue).recall(ORDERS, SINCE, UNTIL)
    assert [told.event.event_id for told in recalled.told] == ["a:match:t1", "b:match:t1"]


async def test_a_time_in_which_no_order_was_touched_is_proven() -> None:
    venue = private(recentDoneOrders=[order(-500, -400)], orders=paged([order(-300, -200), order(70, 80)]))
    assert (await source_of(venue).recall(ORDERS, SINCE, UNTIL)).complete_from == SINCE


@pytest.mark.parametrize("done, active", [([order(-5, 20)], []), ([], [order(20, 20)])])
async def test_before_an_order_was_last_touched_nothing_is_proven(done: list[Row], active: list[Row]) -> None:
    venue = private(recentDoneOrders=done, orders=paged(active))
    assert (await source_of(venue).recall(ORDERS, SINCE, UNTIL)).complete_from == us(20 * S) + MS


async def test_an_order_that_was_touched_later_may_have_been_touched_before() -> None:
    venue = private(orders=paged([order(-5, 80)]))
    assert (await source_of(venue).recall(ORDERS, SINCE, UNTIL)).complete_from == UNTIL + MS


async def test_an_order_that_does_not_say_when_it_was_touched_proves_nothing() -> None:
    venue = private(orders=paged([{"id": ORDER, "createdAt": 1}]))
    assert (await source_of(venue).recall(ORDERS, SINCE, UNTIL)).complete_from is None


async def test_a_full_list_of_ended_orders_proves_nothing_before_its_end() -> None:
    venue = private(recentDoneOrders=[order(-10, 70), order(-20, 30)])
    source = source_of(venue, lists=ListLimits(recent_max=2))
    assert (await source.recall(ORDERS, us(40 * S), us(50 * S))).complete_from == us(50 * S) + MS
    assert (await source.recall(ORDERS, us(-90 * S), us(-80 * S))).complete_from == us(30 * S) + MS


async def test_nothing_is_proven_of_what_the_lists_have_forgotten() -> None:
    recalled = await source_of(private()).recall(ORDERS, NOW - timedelta(hours=30), UNTIL)
    assert recalled.complete_from == NOW - timedelta(hours=24)


async def test_fills_are_asked_for_in_windows_that_the_venue_takes() -> None:
    venue = private()
    await source_of(venue).recall(ORDERS, UNTIL - timedelta(days=15), UNTIL)
    asked = [request.url.params for request in venue.asked if request.url.path.endswith("/fills")]
    spans = [(int(params["startAt"]), int(params["endAt"])) for params in asked]
    assert len(spans) == 3
    assert all(end - start < 7 * 86_400_000 for start, end in spans)
    assert all(end >= start for (_, end), (start, _) in pairwise(spans))


async def test_pages_that_do_not_add_up_are_no_answer() -> None:
    short = private(fills=paged([fill(1, S)], total=2))
    with pytest.raises(VenueError, match="total"):
        await source_of(short).recall(ORDERS, SINCE, UNTIL)
    numbers = count()
    endless = private(fills=lambda request: answer({"totalNum": 10**6, "items": [fill(next(numbers), S)]}))
    with pytest.raises(VenueError, match="more pages"):
        await source_of(endless, lists=ListLimits(pages_max=4)).recall(ORDERS, SINCE, UNTIL)


async def test_all_pages_are_read() -> None:
    venue = private(fills=paged([fill(number, S) for number in range(5)]))
    recalled = await source_of(venue, lists=ListLimits(page_rows_max=2)).recall(ORDERS, SINCE, UNTIL)
    assert len(recalled.told) == 5


async def test_the_fills_are_asked_for_within_their_own_quota() -> None:
    venue = private(fills=paged([fill(number, S) for number in range(12)]))
    clock = ManualClock(NOW)
    source = source_of(venue, lists=ListLimits(page_rows_max=1, slow_calls_max=4, slow_period_s=3.0))
    source._history.lists.clock = clock
    await source.recall(ORDERS, SINCE, UNTIL)
    assert clock.monotonic() >= 6.0


async def test_a_present_state_supersedes_what_was_missed() -> None:
    ticker = {"symbol": SYMBOL, "sequence": 7, "ts": 1760000000600000400}
    overview = {"accountEquity": 1.5, "availableBalance": 1.25, "currency": "USDT"}
    source = source_of(Venue(ticker=ticker, **{"account-overview": overview}))
    told = await source.recall(channel_of(f"/contractMarket/ticker:{SYMBOL}"), SINCE, UNTIL)
    assert (told.superseding, told.told[0].event.event_id) == (True, "7:1760000000600000400")
    balances = await source.recall(channel_of("/contractAccount/wallet"), SINCE, UNTIL)
    assert balances.superseding
    assert [told.event.key for told in balances.told] == ["USDT", "BTC"]
    assert {told.event.occurred_at for told in balances.told} == {NOW}


async def test_a_state_that_is_pushed_soon_is_superseded_by_that() -> None:
    recalled = await source_of(Venue()).recall(channel_of(f"/contractMarket/level2Depth5:{SYMBOL}"), SINCE, UNTIL)
    assert (recalled.told, recalled.superseding) == ((), True)
    nothing = await source_of(Venue()).recall(channel_of("/contract/announcement"), SINCE, UNTIL)
    assert (nothing.told, nothing.complete_from, nothing.superseding) == ((), None, False)


def change(number: int) -> Row:
    return {"symbol": SYMBOL, "sequence": number, "change": "4310.05,buy,3"}


async def test_pulled_changes_are_one_per_number_in_their_order() -> None:
    venue = Venue(level2__message__query=[change(8), change(7), change(9)])
    told = await source_of(venue).pull(BOOK, 7, 9)
    assert [row.event.event_id for row in told] == ["7", "8", "9"]
    assert [row.link for row in told] == [Link(7), Link(8), Link(9)]
    assert dict(venue.asked[0].url.params) == {"symbol": SYMBOL, "start": "7", "end": "9"}
    assert json.loads(told[0].event.payload) == change(7)


async def test_what_lies_beyond_the_range_is_no_part_of_a_pull() -> None:
    venue = Venue(level2__message__query=[change(number) for number in range(5, 12)])
    told = await source_of(venue).pull(BOOK, 7, 9)
    assert [row.event.event_id for row in told] == ["7", "8", "9"]


async def test_a_pull_that_the_venue_does_not_offer_whole_is_none() -> None:
    refused = Venue(level2__message__query=answer(None, "200001", status=400))
    assert await source_of(refused).pull(BOOK, 7, 9) == ()
    with_hole = Venue(level2__message__query=[change(7), change(9)])
    assert await source_of(with_hole).pull(BOOK, 7, 9) == ()
    never = Venue()
    assert await source_of(never).pull(BOOK, 1, 501) == ()
    assert await source_of(never).pull(BOOK, 9, 7) == ()
    assert never.asked == []


async def test_a_snapshot_stands_at_its_number() -> None:
    book = {"symbol": SYMBOL, "sequence": 5000, "asks": [["1", 2]], "bids": [], "ts": 1760000000000000000}
    told = await source_of(Venue(level2__snapshot=book)).snapshot(BOOK)
    assert told is not None
    assert (told.event.event_id, told.link) == ("snapshot:5000", Link(5000, snapshot=True))
    assert json.loads(told.event.payload) == book


async def test_a_position_has_a_snapshot_without_a_number_and_trades_have_none() -> None:
    row = {"symbol": SYMBOL, "currentQty": 4, "currentTimestamp": 1760000000000}
    source = source_of(Venue(position=row))
    told = await source.snapshot(channel_of(f"/contract/position:{SYMBOL}"))
    assert told is not None
    assert told.link == Link(None, snapshot=True)
    assert await source.snapshot(TRADES) is None


@pytest.mark.parametrize("data", [[{"tradeId": "x"}], [7], {"not": "a list"}, [{"tradeId": None, "ts": 1}]])
async def test_a_row_that_cannot_be_read_is_no_answer(data: object) -> None:
    with pytest.raises(VenueError):
        await source_of(Venue(trade__history=data)).recall(TRADES, SINCE, UNTIL)


@pytest.mark.parametrize("code", ["400001", "400003", "400004", "400005", "400006", "400007", "411100"])
async def test_a_code_of_a_bad_key_is_a_refused_key_whatever_the_status(code: str) -> None:
    with pytest.raises(KeyRefused):
        await source_of(private(recentDoneOrders=answer(None, code))).recall(ORDERS, SINCE, UNTIL)


@pytest.mark.parametrize("code, status", [("429000", 200), ("429000", 429), ("500000", 200), ("1015", 403)])
async def test_too_much_and_broken_are_asked_again(code: str, status: int) -> None:
    answers = [answer(None, code, status=status), answer([trade(1, -S)])]
    venue = Venue(trade__history=lambda request: answers.pop(0))
    assert len((await source_of(venue).recall(TRADES, SINCE, UNTIL)).told) == 1


async def test_another_code_is_not_asked_again() -> None:
    venue = Venue(trade__history=answer(None, "400100", status=400))
    with pytest.raises(VenueError, match="400100"):
        await source_of(venue).recall(TRADES, SINCE, UNTIL)
    assert len(venue.asked) == 1


async def test_a_clock_that_differs_is_learned_from_the_refusal() -> None:
    ahead = NOW + timedelta(seconds=40)

    def orders(request: httpx.Request) -> httpx.Response:
        off_ms = abs(int(request.headers["PF-API-TIMESTAMP"]) - int(ahead.timestamp() * 1000))
        return answer(None, "400002", status=401, at=ahead) if off_ms > 5000 else answer([], at=ahead)

    venue = private(recentDoneOrders=orders)
    await source_of(venue).recall(ORDERS, SINCE, UNTIL)
    assert venue.paths()[:3] == ["/api/v1/recentDoneOrders", "/api/v1/recentDoneOrders", "/api/v1/orders"]


async def test_what_is_private_is_signed_as_sent_and_what_is_public_is_not() -> None:
    venue = private(trade__history=[trade(1, -S)])
    source = source_of(venue)
    await source.recall(TRADES, SINCE, UNTIL)
    await source.recall(ORDERS, SINCE, UNTIL)
    public, *signed = venue.asked
    assert "PF-API-SIGN" not in public.headers
    for request in signed:
        target = request.url.raw_path.decode()
        at_ms = int(request.headers["PF-API-TIMESTAMP"])
        assert request.headers["PF-API-SIGN"] == signature("s", at_ms, "GET", target, b"")
