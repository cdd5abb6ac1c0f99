"""The venue's lists, over a network that is answered by the test."""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.reach import WINDOW_MS_MAX, Reach, windows
from bridge.sources.bybit.signing import request_headers
from bridge.sources.bybit.source import Bybit
from bridge.sources.bybit.values import millis
from bridge.sources.market import Recalled
from tests.sources.bybit.recorded import ORDER, TOPICS, ms, recorded

NOW = ms(1760000060000)
SINCE = NOW - timedelta(seconds=60)
DAY = timedelta(days=1)
KEY, SECRET = "key-nobody-may-see", "secret-nobody-may-see"
Rows = list[dict[str, object]] | list[list[str]]


def listed(*rows: object, cursor: str = "", time: datetime = NOW, **more: object) -> dict[str, object]:
    result = {"list": list(rows), "nextPageCursor": cursor, **more}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": millis(time)}


def refused(code: int, time: datetime = NOW) -> dict[str, object]:
    return {"retCode": code, "retMsg": "no", "result": {}, "retExtInfo": {}, "time": millis(time)}


@dataclass
class Net:
    """Answers by path; a list of answers is gone through, its last one stays."""

    answers: dict[str, Callable[[dict[str, str]], object] | list[object] | object]
    requests: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.answers.get(request.url.path, listed())
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found(dict(request.url.params))
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def asked(self, path: str) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.requests if request.url.path == path]


@asynccontextmanager
async def source(net: Net, **changes: object) -> AsyncIterator[tuple[Bybit, ManualClock]]:
    clock = ManualClock(NOW)
    given: dict[str, object] = {
        "name": "by",
        "channels": TOPICS,
        "rest_url": "http://venue.test",
        "ws_url": "ws://venue.test/v5/public/linear",
        "private_ws_url": "ws://venue.test/v5/private",
        "api_key": KEY,
        "api_secret": SECRET,
        "reach": Reach(category="linear", categories=("linear",), settle_coins=("USDT",)),
    }
    options = BybitOptions(**(given | changes))  # type: ignore[arg-type] # each of its own type
    made = Bybit(options, clock=clock, jitter=lambda: 0.5, transport=httpx.MockTransport(net.answer))
    try:
        yield made, clock
    finally:
        await made.close()


async def recall(
    net: Net, series: str, since: datetime = SINCE, until: datetime = NOW, **changes: object
) -> Recalled:
    async with source(net, **changes) as (made, _):
        channel = next(channel for channel in made.channels if channel.series == series)
        return await made.recall(channel, since, until)


def ids(recalled: Recalled) -> list[str]:
    return sorted(told.event.event_id for told in recalled.told)


def fill(number: int, at: datetime) -> dict[str, object]:
    row = json.loads(recorded("frame_execution"))["data"][0]
    del row["category"]
    return {**row, "execId": f"e{number}", "execTime": str(millis(at))}


def order(**changes: object) -> dict[str, object]:
    return {**json.loads(recorded("frame_order"))["data"][0], **changes}


async def test_trades_are_proven_only_behind_the_oldest_that_is_listed() -> None:
    rows = [
        {"execId": f"t{n}", "symbol": "SOLUSDT", "price": "201.05", "size": "1", "side": "Buy", "time": str(stamp)}
        for n, stamp in ((3, 1760000000300), (2, 1760000000200), (1, 1760000000200))
    ]
    net = Net({"/v5/market/recent-trade": listed(*rows)})
    recalled = await recall(net, "publicTrade.SOLUSDT")
    assert ids(recalled) == ["SOLUSDT:t1", "SOLUSDT:t2", "SOLUSDT:t3"]
    assert recalled.complete_from == ms(1760000000201)
    assert recalled.venue_now == NOW
    assert net.asked("/v5/market/recent-trade") == [{"category": "linear", "symbol": "SOLUSDT", "limit": "1000"}]
    assert "X-BAPI-SIGN" not in net.requests[0].headers


async def test_an_empty_list_of_trades_proves_nothing() -> None:
    recalled = await recall(Net({}), "publicTrade.SOLUSDT")
    assert recalled == Recalled((), None, venue_now=NOW)


async def test_a_fill_is_known_by_the_same_id_whichever_way_it_is_told() -> None:
    row = json.loads(recorded("frame_execution"))["data"][0]
    del row["category"]
    recalled = await recall(Net({"/v5/execution/list": listed(row, category="linear")}), "execution")
    (told,) = recalled.told
    assert told.event.event_id == "linear:9d1a4f0e-0000-4000-8000-00000000e001"
    assert told.event.occurred_at == ms(1760000000199)
    assert recalled.complete_from == SINCE - timedelta(seconds=30)


async def test_long_spans_are_asked_in_windows_of_seven_days_that_leave_nothing_out() -> None:
    net = Net({})
    since = NOW - 20 * DAY
    recalled = await recall(net, "execution", since)
    spans = sorted((int(asked["startTime"]), int(asked["endTime"])) for asked in net.asked("/v5/execution/list"))
    assert len(spans) == 3
    assert spans[0][0] == millis(since) - 30_000
    assert spans[-1][1] >= millis(NOW)
    assert all(last - first <= WINDOW_MS_MAX for first, last in spans)
    assert all(later == last + 1 for (_, last), (later, _) in itertools.pairwise(spans))
    assert recalled.complete_from == since - timedelta(seconds=30)


def test_a_span_that_ends_before_it_begins_has_no_windows() -> None:
    assert list(windows(NOW, NOW - DAY)) == []


async def test_pages_follow_an_opaque_cursor_that_is_signed_as_it_is_sent() -> None:
    cursor = "page_token%3D39380%26&x=ü"
    net = Net({"/v5/execution/list": [listed(fill(2, NOW), cursor=cursor), listed(fill(1, NOW))]})
    assert ids(await recall(net, "execution")) == ["linear:e1", "linear:e2"]
    first, second = net.requests
    assert "cursor" not in first.url.params
    assert second.url.params["cursor"] == cursor
    sent = second.headers
    made = request_headers(
        KEY,
        SECRET,
        method="GET",
        target=second.url.raw_path.decode(),
        body=b"",
        timestamp_ms=int(sent["X-BAPI-TIMESTAMP"]),
        recv_window_ms=5000,
    )
    assert sent["X-BAPI-SIGN"] == made["X-BAPI-SIGN"]


async def test_a_short_page_is_no_end_and_an_empty_one_is() -> None:
    pages = [
        listed(fill(1, NOW), cursor="a"),
        listed(fill(2, NOW), cursor="b"),
        listed(cursor="c"),
        listed(fill(3, NOW)),
    ]
    assert ids(await recall(Net({"/v5/execution/list": pages}), "execution")) == ["linear:e1", "linear:e2"]


async def test_a_cursor_that_comes_again_is_an_error() -> None:
    pages = [listed(fill(1, NOW), cursor="a"), listed(fill(2, NOW), cursor="a")]
    with pytest.raises(VenueError, match="comes again"):
        await recall(Net({"/v5/execution/list": pages}), "execution")


async def test_a_list_without_end_is_an_error() -> None:
    numbers = iter(range(1000))

    def endless(asked: dict[str, str]) -> object:
        number = next(numbers)
        return listed(fill(number, NOW), cursor=f"c{number}")

    with pytest.raises(VenueError, match="more than 5 pages"):
        await recall(Net({"/v5/execution/list": endless}), "execution", pages_max=5)


async def test_what_is_more_than_wanted_is_proven_only_as_far_as_it_was_read() -> None:
    pages = [
        listed(fill(3, NOW), fill(2, NOW - timedelta(seconds=5)), cursor="a"),
        listed(fill(1, NOW - timedelta(seconds=9)), cursor="b"),
    ]
    reach = Reach(category="linear", categories=("linear",), rows_max=2)
    recalled = await recall(Net({"/v5/execution/list": pages}), "execution", reach=reach)
    assert ids(recalled) == ["linear:e2", "linear:e3"]
    assert recalled.complete_from == NOW - timedelta(seconds=5) + timedelta(milliseconds=1)


async def test_a_row_that_cannot_be_read_takes_the_proof_away() -> None:
    recalled = await recall(Net({"/v5/execution/list": listed(fill(1, NOW), {"execId": "e2"})}), "execution")
    assert ids(recalled) == ["linear:e1"]
    assert recalled.complete_from is None


async def test_fast_fills_are_asked_for_without_funding_and_the_like() -> None:
    net = Net({})
    await recall(net, "execution.fast")
    assert [asked["execType"] for asked in net.asked("/v5/execution/list")] == ["Trade"]


async def test_orders_are_asked_for_open_ended_lately_and_past() -> None:
    net = Net(
        {
            "/v5/order/realtime": lambda asked: listed(
                order(orderStatus="New", orderId="o1", cumExecQty="0")
                if asked["openOnly"] == "0"
                else order(orderId="o2")
            ),
            "/v5/order/history": listed(
                order(orderId="o2"), order(), order(orderId="old", updatedTime="1759990000000")
            ),
        }
    )
    recalled = await recall(net, "order")
    assert ids(recalled) == [
        f"{ORDER}:1760000000199:Filled:4::",
        "o1:1760000000199:New:0::",
        "o2:1760000000199:Filled:4::",
    ]
    assert recalled.complete_from == ms(1760000000200), "what they were before that is nowhere listed"
    assert [asked["openOnly"] for asked in net.asked("/v5/order/realtime")] == ["0", "1"]
    assert all(asked["settleCoin"] == "USDT" for asked in net.asked("/v5/order/realtime"))
    (history,) = net.asked("/v5/order/history")
    assert int(history["startTime"]) == millis(SINCE) - 30_000 - 3_600_000


async def test_an_order_that_was_born_and_not_changed_hides_no_other_state() -> None:
    born = order(orderStatus="New", orderId="o1", cumExecQty="0", createdTime="1760000000199")
    later = order(orderId="o2", createdTime=str(millis(NOW)), updatedTime=str(millis(NOW) + 5))
    recalled = await recall(Net({"/v5/order/realtime": listed(born, later)}), "order")
    assert len(recalled.told) == 2
    assert recalled.complete_from == SINCE - timedelta(seconds=30)


async def test_orders_are_proven_for_a_day_only_as_cancelled_ones_vanish() -> None:
    recalled = await recall(Net({}), "order", NOW - 3 * DAY)
    assert recalled.complete_from == NOW - DAY


async def test_positions_that_changed_stand_for_what_was_missed() -> None:
    row = json.loads(recorded("frame_position"))["data"][0]
    del row["category"]
    before = {**row, "symbol": "BTCUSDT", "updatedTime": "1759990000000"}
    never = {**row, "symbol": "XRPUSDT", "updatedTime": "", "seq": -1, "size": "0"}
    recalled = await recall(Net({"/v5/position/list": listed(row, before, never)}), "position")
    assert ids(recalled) == ["linear:SOLUSDT:0:1760000000199:77000442:4"]
    assert (recalled.superseding, recalled.complete_from) == (True, SINCE - timedelta(seconds=30))


async def test_the_wallet_is_a_state_of_now() -> None:
    row = json.loads(recorded("frame_wallet"))["data"][0]
    net = Net({"/v5/account/wallet-balance": listed(row)})
    recalled = await recall(net, "wallet")
    (told,) = recalled.told
    assert (told.event.event_id, told.event.key) == (f"listed:{millis(NOW)}:0", "UNIFIED")
    assert (told.event.occurred_at, recalled.superseding) == (NOW, True)
    assert net.asked("/v5/account/wallet-balance") == [{"accountType": "UNIFIED"}]


async def test_the_best_of_a_book_is_a_state_of_now() -> None:
    book = {"s": "SOLUSDT", "b": [], "a": [], "u": 7, "seq": 8, "ts": 1760000050000, "cts": 1760000049999}
    net = Net({"/v5/market/orderbook": {**listed(), "result": book}})
    recalled = await recall(net, "orderbook.1.SOLUSDT")
    assert ids(recalled) == ["listed:7:8"]
    assert recalled.superseding


async def test_closed_candles_are_listed_and_the_open_one_is_not() -> None:
    rows = [["1760000100000", "1"], ["1759999800000", "1"], ["1759999500000", "1"]]
    later = ms(1760000150000)
    net = Net({"/v5/market/kline": listed(*rows, time=later)})
    recalled = await recall(net, "kline.5.SOLUSDT", ms(1759999800000), later)
    assert ids(recalled) == ["1759999500000:closed", "1759999800000:closed"]
    assert recalled.complete_from == ms(1759999800000)


async def test_what_the_venue_does_not_list_proves_nothing() -> None:
    for series in ("allLiquidation.SOLUSDT", "insurance.USDT", "orderbook.50.SOLUSDT", "tickers.SOLUSDT"):
        net = Net({})
        assert await recall(net, series) == Recalled((), None)
        assert net.requests == []


async def test_only_the_full_book_is_fetched_and_stands_for_its_number() -> None:
    book = {"s": "SOLUSDT", "b": [], "a": [], "u": 7, "seq": 8, "ts": 1760000050000, "cts": 1760000049999}
    net = Net({"/v5/market/full_orderbook": {**listed(), "result": book}})
    async with source(net, channels=("orderbook.full.SOLUSDT", "orderbook.50.SOLUSDT")) as (made, _):
        full, partial = made.channels
        told = await made.snapshot(full)
        assert told is not None
        assert told.link is not None
        assert (told.link.number, told.link.snapshot) == (7, True)
        assert json.loads(told.event.payload) == book
        assert await made.snapshot(partial) is None
        assert await made.pull(full, 1, 5) == ()


async def test_too_many_requests_inside_a_200_are_waited_for() -> None:
    limited = httpx.Response(
        200, json=refused(10006), headers={"X-Bapi-Limit-Reset-Timestamp": str(millis(NOW) + 4000)}
    )
    net = Net({"/v5/execution/list": [limited, listed(fill(1, NOW))]})
    async with source(net) as (made, clock):
        recalled = await made.recall(made.channels[7], SINCE, NOW)
        assert ids(recalled) == ["linear:e1"]
        assert clock.monotonic() >= 4.0


async def test_a_clock_that_is_wrong_is_set_by_the_venues_answer() -> None:
    later = NOW + timedelta(minutes=7)
    net = Net({"/v5/execution/list": [refused(10002, later), listed(time=later)]})
    await recall(net, "execution")
    first, second = (int(request.headers["X-BAPI-TIMESTAMP"]) for request in net.requests)
    assert first == millis(NOW)
    assert second - first >= 7 * 60_000


@pytest.mark.parametrize("code", [10003, 10004, 10005, 33004])
async def test_a_refused_key_is_told_apart_and_never_shown(code: int) -> None:
    with pytest.raises(KeyRefused) as error:
        await recall(Net({"/v5/execution/list": refused(code)}), "execution")
    assert KEY not in str(error.value)
    assert SECRET not in str(error.value)


async def test_a_ban_is_no_refused_key_and_is_not_pushed_against() -> None:
    net = Net({"/v5/execution/list": [httpx.Response(403), listed()]})
    async with source(net, banned_s=120.0) as (made, clock):
        with pytest.raises(VenueError, match="bans") as error:
            await made.recall(made.channels[7], SINCE, NOW)
        assert not isinstance(error.value, KeyRefused)
        assert len(net.requests) == 1
        await made.recall(made.channels[7], SINCE, NOW)
        assert clock.monotonic() >= 120.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"retCode":"0"}', b'{"retCode":0,"result":{"list":5}}'])
async def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(VenueError):
        await recall(Net({"/v5/execution/list": httpx.Response(200, content=body)}), "execution")


async def test_other_refusals_are_not_tried_again() -> None:
    net = Net({"/v5/execution/list": refused(10001)})
    with pytest.raises(VenueError, match="10001"):
        await recall(net, "execution")
    assert len(net.requests) == 1
