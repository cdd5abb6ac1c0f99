"""The lists: the same ids as on the socket, pages that move and come short, and what is claimed and what is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.cryptomus.channels import channel_of
from bridge.sources.cryptomus.history import HistoryOptions
from bridge.sources.cryptomus.pages import PageLimits
from bridge.sources.cryptomus.source import Cryptomus, CryptomusOptions
from bridge.sources.market import Recalled
from bridge.sources.rest import RestLimits
from tests.sources.cryptomus.recorded import FILL, ORDER, TOPICS, at, conversation, recorded, told_by

START = at(300)
SINCE, UNTIL = at(0), at(60)
ORDERS = "/v2/user-api/exchange/orders"
HISTORY = "/v2/user-api/exchange/orders/history"
Row = dict[str, object]
Given = list[Row] | httpx.Response | Callable[[int, int], list[Row]]


class Venue:
    """Answers by path; a function is asked with offset and limit."""

    def __init__(self, routes: dict[str, Given]) -> None:
        self.routes = routes
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.routes.get(request.url.path, [])
        if callable(given):
            given = given(int(request.url.params["offset"]), int(request.url.params["limit"]))
        elif isinstance(given, list) and "offset" in request.url.params:
            offset = int(request.url.params["offset"])
            given = given[offset : offset + int(request.url.params["limit"])]
        if isinstance(given, httpx.Response):
            return given
        name = "data" if request.url.path.startswith("/v1/") else "result"
        return httpx.Response(200, json={name: given}, headers={"date": format_datetime(START, usegmt=True)})


def source_of(venue: Venue, history: HistoryOptions | None = None) -> Cryptomus:
    options = CryptomusOptions(
        name="cm",
        rest_url="http://venue.test",
        ws_url="ws://venue.test/ws",
        channels=TOPICS,
        user_id="user-1",
        api_key="cm-api-key-1",
        history=history or HistoryOptions(),
        rest=RestLimits(requests_per_s=1000.0),
    )
    return Cryptomus(options, clock=ManualClock(START), jitter=lambda: 0.5, transport=httpx.MockTransport(venue))


async def recall(
    topic: str, routes: dict[str, Given], history: HistoryOptions | None = None, *, until: datetime = UNTIL
) -> Recalled:
    source = source_of(Venue(routes), history)
    try:
        return await source.recall(channel_of(topic), SINCE, until)
    finally:
        await source.close()


def ids(recalled: Recalled) -> list[str]:
    return [told.event.event_id for told in recalled.told]


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def fill(name: str, moment: datetime) -> Row:
    return {"id": name, "tradeRole": "maker", "filledQuantity": "20", "committedAt": written(moment)}


def done(order: str, moment: datetime, *fills: Row, filled: str = "120.000") -> Row:
    return {
        "id": order,
        "type": "limit",
        "symbol": "TRX_USDT",
        "filledQuantity": filled,
        "state": "completed",
        "createdAt": written(moment - timedelta(seconds=2)),
        "finishedAt": written(moment),
        "deal": {"id": "d", "state": "completed", "transactions": list(fills)},
    }


def still_open(order: str, moment: datetime, filled: str = "0") -> Row:
    return {"id": order, "symbol": "TRX_USDT", "filledQuantity": filled, "createdAt": written(moment)}


async def test_a_row_has_the_id_and_the_time_that_the_socket_gave_the_event() -> None:
    routes: dict[str, Given] = {
        ORDERS: [still_open("01OPEN", at(20))],
        HISTORY: [done(ORDER, at(17), fill(FILL, at(16)))],
        "/v1/exchange/market/trades/BTC_USDT": [
            {
                "trade_id": "01K7",
                "price": "121500.5000",
                "base_volume": "30.861127",
                "quote_volume": "0.00025400",
                "timestamp": 1760000014,
                "type": "buy",
            }
        ],
    }
    for topic, name in (("order:all", "order_finished"), ("deal:all", "deal"), ("trade:BTC_USDT", "trade")):
        heard = told_by(conversation(topic).hear(recorded(name)))[0]
        told = (await recall(topic, routes)).told[0]
        assert told.series == heard.series
        assert told.event._replace(payload=b"", digest=b"") == heard.event._replace(payload=b"", digest=b"")
    states = await recall("order:all", routes)
    assert ids(states) == [f"{ORDER}:2finished:03:120", "01OPEN:0created:01:0"]
    assert states.complete_from == SINCE
    assert states.venue_now == START


async def test_requests_bear_the_users_signature() -> None:
    venue = Venue({})
    source = source_of(venue)
    await source.recall(channel_of("deal:TRX_USDT"), SINCE, UNTIL)
    await source.close()
    assert {request.headers["sign"] for request in venue.asked} == {"20c66401c3885e66d0332e437f5100b1"}
    assert {request.headers["userId"] for request in venue.asked} == {"user-1"}
    assert {request.url.params["market"] for request in venue.asked} == {"TRX_USDT"}


async def test_of_the_oldest_second_in_a_list_of_trades_nothing_is_claimed() -> None:
    def print_(second: int) -> Row:
        return {
            "price": "1",
            "base_volume": "2",
            "quote_volume": "2",
            "timestamp": 1760000000 + second,
            "type": "sell",
        }

    path = "/v1/exchange/market/trades/BTC_USDT"
    short = await recall("trade:BTC_USDT", {path: [print_(30), print_(20), print_(20)]})
    assert short.complete_from == at(21)
    assert len(short.told) == 3
    older = await recall("trade:BTC_USDT", {path: [print_(30), print_(-5)]})
    assert (older.complete_from, len(older.told)) == (SINCE, 1)
    broken = await recall("trade:BTC_USDT", {path: [print_(30), {"price": "1"}]})
    assert (broken.complete_from, len(broken.told)) == (None, 1)
    two: dict[str, Given] = {
        "/v2/user-api/exchange/markets": [{"symbol": "A_X"}, {"symbol": "B_X"}],
        "/v1/exchange/market/trades/A_X": [print_(40)],
        "/v1/exchange/market/trades/B_X": [print_(-1), print_(50)],
    }
    both = await recall("trade:all", two)
    assert both.complete_from == at(41)
    assert ids(both) == ["A_X:1760000040:1:2:sell", "B_X:1760000050:1:2:sell"]
    with pytest.raises(VenueError, match="markets_max"):
        await recall("trade:all", two, HistoryOptions(markets_max=1))


def hundreds(count: int) -> list[Row]:
    return [
        done(f"01O{number:05d}", at(count - number), fill(f"01F{number:05d}", at(count - number - 1)))
        for number in range(count)
    ]


async def test_pages_are_read_back_to_the_time_that_was_asked_for() -> None:
    venue = Venue({HISTORY: [done(f"01O{number}", at(500 - number)) for number in range(2_000)]})
    source = source_of(venue)
    recalled = await source.recall(channel_of("order:all"), SINCE, UNTIL)
    await source.close()
    assert len(recalled.told) == 501
    assert recalled.complete_from == SINCE
    assert sum(request.url.path == HISTORY for request in venue.asked) == 6


async def test_short_pages_lose_nothing() -> None:
    rows = hundreds(250)
    recalled = await recall(
        "deal:all", {HISTORY: lambda offset, limit: rows[offset : offset + max(1, limit * offset % 7)]}
    )
    assert len(recalled.told) == 250
    assert recalled.complete_from == SINCE


async def test_a_list_that_grows_while_it_is_read_loses_nothing() -> None:
    rows = hundreds(250)

    def growing(offset: int, limit: int) -> list[Row]:
        page = rows[offset : offset + limit]
        rows[:0] = [done(f"01NEW{len(rows)}{number}", at(299)) for number in range(3)]
        return page

    recalled = await recall("deal:all", {HISTORY: growing})
    assert len({name for name in ids(recalled) if name.startswith("01F")}) == 250


async def test_a_list_that_shrinks_while_it_is_read_is_read_anew() -> None:
    rows = hundreds(250)
    taken = iter([20])

    def shrinking(offset: int, limit: int) -> list[Row]:
        if offset:
            del rows[: next(taken, 0)]
        return rows[offset : offset + limit]

    recalled = await recall("deal:all", {HISTORY: shrinking})
    assert len(recalled.told) == 230
    assert recalled.complete_from == SINCE


async def test_a_list_that_ignores_the_offset_is_no_proof_of_anything() -> None:
    rows = hundreds(250)
    with pytest.raises(VenueError, match="circles"):
        await recall("order:all", {HISTORY: lambda _offset, limit: rows[:limit]})


async def test_a_list_that_never_joins_its_last_page_is_given_up() -> None:
    def jumping(offset: int, limit: int) -> list[Row]:
        return [done(f"01O{offset}{number}", at(200)) for number in range(limit)]

    with pytest.raises(VenueError, match="moves"):
        await recall("order:all", {HISTORY: jumping})


async def test_beyond_the_largest_offset_nothing_is_claimed() -> None:
    limits = HistoryOptions(pages=PageLimits(rows_max=100, offset_max=300))
    rows = [done(f"01O{number}", at(500 - number)) for number in range(2_000)]
    recalled = await recall("order:all", {HISTORY: [*rows]}, limits)
    assert recalled.complete_from == at(500 - len(recalled.told) + 2)


async def test_orders_that_are_not_sorted_by_their_end_are_read_to_the_end() -> None:
    rows = [
        done("01A", at(50)),
        done("01X", at(60)),
        done("01B", at(-100)),
        done("01C", at(40)),
        *(done(f"01D{n}", at(-200)) for n in range(150)),
    ]
    recalled = await recall("order:all", {HISTORY: lambda offset, limit: rows[offset : offset + min(limit, 3)]})
    assert ids(recalled) == [f"{order}:2finished:03:120" for order in ("01A", "01X", "01C")]
    by_creation = HistoryOptions(sorted_by="created")
    late = [done("01A", at(-50)), *(done(f"01D{n}", at(-100)) for n in range(150)), done("01Z", at(30))]
    assert len((await recall("order:all", {HISTORY: [*late]})).told) == 0
    assert ids(await recall("order:all", {HISTORY: [*late]}, by_creation)) == ["01Z:2finished:03:120"]


async def test_fills_of_an_open_order_are_in_no_list_and_are_waited_for_before_nothing_is_claimed() -> None:
    routes: dict[str, Given] = {
        ORDERS: [still_open("01OPEN", at(20), filled="5.0")],
        HISTORY: [done(ORDER, at(17), fill(FILL, at(16)))],
    }
    with pytest.raises(VenueError, match="open"):
        await recall("deal:all", routes, until=START - timedelta(seconds=10))
    hidden = await recall("deal:all", routes)
    assert (ids(hidden), hidden.complete_from) == ([FILL], None)
    later: dict[str, Given] = {**routes, ORDERS: [still_open("01OPEN", UNTIL, filled="5.0")]}
    assert (await recall("deal:all", later)).complete_from == SINCE
    ended: dict[str, Given] = {**routes, HISTORY: [done("01OPEN", at(30)), done(ORDER, at(17))]}
    assert (await recall("deal:all", ended)).complete_from == SINCE
    states = await recall("order:all", routes)
    assert ids(states)[-1] == "01OPEN:1open:01:5"
    assert states.told[-1].event.occurred_at == START


async def test_a_row_that_cannot_be_read_costs_its_neighbours_nothing_and_the_claim_everything() -> None:
    bad = done("01BAD", at(30)) | {"finishedAt": "yesterday"}
    recalled = await recall("order:all", {HISTORY: [done(ORDER, at(40)), bad, done("01C", at(20))]})
    assert len(recalled.told) == 2
    assert recalled.complete_from is None


async def test_written_times_are_those_of_the_configured_zone() -> None:
    zone = HistoryOptions(zone=ZoneInfo("Europe/Moscow"))
    recalled = await recall("order:all", {HISTORY: [done(ORDER, at(17) + timedelta(hours=3))]}, zone)
    assert [told.event.occurred_at for told in recalled.told] == [at(17)]


async def test_present_states_supersede() -> None:
    balances: list[Row] = [
        {"ticker": "USDT", "available": "10.50", "held": "0"},
        {"ticker": "BTC", "available": "1", "held": "0.5"},
    ]
    recalled = await recall("balance:USDT", {"/v2/user-api/exchange/account/balance": balances})
    stamp = int(START.timestamp())
    assert ids(recalled) == [f"~USDT:{stamp}:10.5:0"]
    assert recalled.superseding
    assert recalled.complete_from is None
    tickers: list[Row] = [
        {"currency_pair": "BTC_USDT", "last_price": "121500.50"},
        {"currency_pair": "ETH_USDT", "last_price": "4310"},
    ]
    for topic, count in (("lastprice:BTC_USDT", 1), ("ticker:all", 2)):
        present = await recall(topic, {"/v1/exchange/market/tickers": tickers})
        assert len(present.told) == count
        assert ids(present)[0] == f"~BTC_USDT:{stamp}:121500.5"
        assert present.superseding


async def test_a_book_is_not_recalled() -> None:
    assert await recall("depth:BTC_USDT:0", {}) == Recalled((), None)
    source = source_of(Venue({}))
    channel = channel_of("depth:BTC_USDT:0")
    assert await source.snapshot(channel) is None
    assert await source.pull(channel, 1, 2) == ()
    await source.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"message": "Too many", "state": 1}),
        httpx.Response(200, json={"result": {"items": []}}),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, content=b""),
        httpx.Response(404, json={"message": "Not found"}),
    ],
)
async def test_an_answer_that_is_no_list_is_the_venues_fault(answer: httpx.Response) -> None:
    with pytest.raises(VenueError):
        await recall("order:all", {HISTORY: answer})


async def test_a_refused_key_is_said_so() -> None:
    with pytest.raises(KeyRefused):
        await recall("order:all", {ORDERS: httpx.Response(401)})


async def test_lines_keep_books_and_private_channels_apart() -> None:
    source = source_of(Venue({}))
    assert {line.name: [channel.topic for channel in line.channels] for line in source.lines} == {
        "public": ["lastprice:BTC_USDT", "ticker:all", "trade:BTC_USDT"],
        "depth": ["depth:ETH_USDT:1"],
        "private": ["order:all", "deal:all", "balance:USDT"],
    }
    assert "cm-api-key-1" not in repr(source)
    await source.close()
