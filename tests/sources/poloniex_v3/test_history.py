"""The lists: what is asked, what is made of short, circular, lagging and unreadable answers, and what is claimed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.channel import Step
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.market import Recalled
from bridge.sources.poloniex_v3.channels import channel_of
from bridge.sources.poloniex_v3.history import HistoryLimits
from bridge.sources.poloniex_v3.signing import headers
from bridge.sources.poloniex_v3.source import PoloniexV3, PoloniexV3Options
from bridge.sources.rest import RestLimits
from tests.sources.poloniex_v3.recorded import ORDER, POSITION, SYMBOL, TOPICS, ms, recorded

SINCE, UNTIL = ms(0), ms(60_000)
START = ms(70_000)
MS = timedelta(milliseconds=1)
Row = dict[str, object]


def answer(data: object, code: object = 200, *, at: datetime = START) -> httpx.Response:
    body = json.dumps({"code": code, "msg": "Success", "data": data})
    return httpx.Response(200, text=body, headers={"date": format_datetime(at, usegmt=True)})


class Venue:
    """Answers by path, and remembers what was asked. A list of answers is given one after another."""

    def __init__(self, **routes: object) -> None:
        self.routes = {path.replace("__", "/"): given for path, given in routes.items()}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.routes[request.url.path.removeprefix("/v3/")]
        found = given(request) if callable(given) else given.pop(0) if isinstance(given, list) else given
        return found if isinstance(found, httpx.Response) else answer(found)

    def params(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.asked]


def source_of(venue: Venue, *, limits: HistoryLimits | None = None, suspect: bool = True) -> PoloniexV3:
    options = PoloniexV3Options(
        name="p3",
        topics=TOPICS,
        rest_url="http://venue.test",
        api_key="k",
        api_secret="s",
        suspect_jumps=suspect,
        history=limits or HistoryLimits(),
        rest=RestLimits(attempts_max=3),
        private_rest=RestLimits(attempts_max=3),
    )
    return PoloniexV3(options, clock=ManualClock(START), jitter=lambda: 0.5, transport=httpx.MockTransport(venue))


async def recall(venue: Venue, topic: str, *, limits: HistoryLimits | None = None) -> Recalled:
    source = source_of(venue, limits=limits)
    try:
        return await source.recall(channel_of(topic), SINCE, UNTIL)
    finally:
        await source.close()


def ids(recalled: Recalled) -> list[str]:
    return [told.event.event_id for told in recalled.told]


def trade(number: int, at: datetime) -> Row:
    return {"id": number, "side": "buy", "px": "1", "qty": "2", "amt": "2", "cT": int(at.timestamp() * 1000)}


def fill(number: int, at: datetime) -> Row:
    stamp = str(int(at.timestamp() * 1000))
    return {"id": str(900 + number), "symbol": SYMBOL, "trdId": str(number), "ordId": ORDER, "uTime": stamp}


def order(number: int, at: datetime, state: str = "FILLED", *, born: datetime | None = None) -> Row:
    stamp, made = (str(int(when.timestamp() * 1000)) for when in (at, born or at))
    return {"ordId": str(number), "symbol": SYMBOL, "state": state, "execQty": "1.0", "uTime": stamp, "cTime": made}


async def test_the_newest_trades_are_complete_from_behind_the_oldest_of_them() -> None:
    rows = [trade(3, ms(900)), trade(2, ms(800)), trade(1, ms(700))]
    recalled = await recall(Venue(market__trades=[rows]), f"trades:{SYMBOL}", limits=HistoryLimits(trades_max=3))
    assert ids(recalled) == [f"{SYMBOL}:{number}" for number in (3, 2, 1)]
    assert recalled.complete_from == ms(701)
    assert recalled.venue_now == START
    assert {told.series for told in recalled.told} == {f"trades.{SYMBOL}"}


async def test_trades_that_reach_beyond_what_was_asked_for_are_complete_from_there() -> None:
    venue = Venue(market__trades=[[trade(2, ms(800)), trade(1, ms(-1))]])
    recalled = await recall(venue, f"trades:{SYMBOL}")
    assert recalled.complete_from == SINCE
    assert len(venue.asked) == 1
    assert venue.params() == [{"symbol": SYMBOL, "limit": "1000"}]
    assert "signature" not in venue.asked[0].headers


async def test_a_short_answer_that_stays_the_same_is_all_there_is() -> None:
    venue = Venue(market__trades=lambda request: [trade(2, ms(800)), trade(1, ms(700))])
    recalled = await recall(venue, f"trades:{SYMBOL}")
    assert recalled.complete_from == SINCE
    assert len(venue.asked) == 3
    assert (await recall(Venue(market__trades=lambda request: []), f"trades:{SYMBOL}")).complete_from == SINCE


async def test_answers_of_different_lengths_prove_no_more_than_the_longest() -> None:
    short, long = [trade(3, ms(900))], [trade(3, ms(900)), trade(2, ms(800))]
    recalled = await recall(Venue(market__trades=[short, long, short]), f"trades:{SYMBOL}")
    assert recalled.complete_from == ms(801)
    assert sorted(ids(recalled)) == [f"{SYMBOL}:2", f"{SYMBOL}:3"]


async def test_a_list_with_a_row_that_cannot_be_read_proves_nothing_and_tells_the_others() -> None:
    recalled = await recall(
        Venue(market__trades=[[trade(2, ms(8)), {"id": 1}, trade(0, ms(-1))]]), f"trades:{SYMBOL}"
    )
    assert recalled.complete_from is None
    assert len(recalled.told) == 2


async def test_fills_are_paged_until_a_page_is_empty() -> None:
    pages = [[fill(5, ms(900)), fill(4, ms(800))], [fill(3, ms(700))], []]
    venue = Venue(trade__order__trades=pages)
    recalled = await recall(venue, "trade", limits=HistoryLimits(page_max=2))
    assert ids(recalled) == [f"{SYMBOL}:{number}:{ORDER}" for number in (5, 4, 3)]
    assert recalled.complete_from == SINCE
    first, second, third = venue.params()
    assert first == {"sTime": "1760000000000", "eTime": "1760000060001", "limit": "2"}
    assert (second["from"], second["direct"], third["from"]) == ("904", "NEXT", "903")


async def test_a_private_question_is_signed_exactly_as_it_is_sent() -> None:
    venue = Venue(trade__order__trades=[[]])
    await recall(venue, "trade")
    request = venue.asked[0]
    target = request.url.raw_path.decode()
    at_ms = int(request.headers["signTimestamp"])
    expected = headers("k", "s", "GET", target, b"", at_ms)
    assert request.headers["signature"] == expected["signature"]
    assert request.headers["recvWindow"] == "5000"


async def test_a_row_that_two_pages_hold_is_one_event() -> None:
    venue = Venue(trade__order__trades=[[fill(5, ms(900)), fill(4, ms(800))], [fill(4, ms(800)), fill(3, ms(1))], []])
    assert len((await recall(venue, "trade")).told) == 3


async def test_a_cursor_that_comes_again_is_an_error() -> None:
    with pytest.raises(VenueError, match="circle"):
        await recall(Venue(trade__order__trades=lambda request: [fill(5, ms(900))]), "trade")


async def test_a_list_that_is_longer_than_is_read_is_complete_from_where_reading_ended() -> None:
    pages = [[fill(5, ms(900)), fill(4, ms(800))], [fill(3, ms(700)), fill(2, ms(600))]]
    recalled = await recall(Venue(trade__order__trades=pages), "trade", limits=HistoryLimits(rows_max=4))
    assert recalled.complete_from == ms(601)


async def test_no_more_is_claimed_than_the_venue_keeps() -> None:
    venue = Venue(trade__order__trades=[[]])
    recalled = await recall(venue, "trade", limits=HistoryLimits(retention_s=30))
    assert recalled.complete_from == START - timedelta(seconds=30)


async def test_orders_are_those_that_changed_since_then_open_ones_first() -> None:
    venue = Venue(
        trade__order__opens=[[order(1, ms(5), "NEW"), order(2, ms(-5), "NEW")], []],
        trade__order__history=[[order(3, ms(6)), order(1, ms(7)), order(4, ms(60_000))], []],
    )
    recalled = await recall(venue, "orders", limits=HistoryLimits(order_lookback_s=3600))
    stamp = 1760000000000
    assert ids(recalled) == [
        f"1:{stamp + 5}:NEW:1",
        f"3:{stamp + 6}:FILLED:1",
        f"1:{stamp + 7}:FILLED:1",
        f"4:{stamp + 60_000}:FILLED:1",
    ]
    assert recalled.complete_from == SINCE
    assert not recalled.superseding
    history = venue.params()[2]
    assert (history["sTime"], history["eTime"]) == (str(stamp - 3_600_000), str(stamp + 60_001))
    assert venue.params()[1]["from"] == "2"


@pytest.mark.parametrize(
    "rows, proven",
    [
        ([order(1, ms(50), born=ms(-9))], ms(51)),
        ([order(1, ms(50), born=ms(20)), order(2, ms(30), born=ms(10))], ms(51)),
        ([order(1, ms(90_000), born=ms(59_999))], ms(90_001)),
        ([order(1, ms(90_000), born=ms(60_000))], SINCE),
        ([order(1, ms(-3), born=ms(-9))], SINCE),
        ([{**order(1, ms(50)), "cTime": None}], ms(51)),
    ],
)
async def test_nothing_is_proven_up_to_an_orders_last_change_unless_it_was_its_first(
    rows: list[Row], proven: datetime
) -> None:
    venue = Venue(trade__order__opens=[[]], trade__order__history=[rows, []])
    assert (await recall(venue, "orders")).complete_from == proven


async def test_orders_are_claimed_no_further_back_than_cancelled_ones_are_shown() -> None:
    venue = Venue(trade__order__opens=[[]], trade__order__history=[[]])
    recalled = await recall(venue, "orders", limits=HistoryLimits(cancelled_visible_s=20))
    assert recalled.complete_from == START - timedelta(seconds=20)


async def test_positions_and_balances_are_the_present_state_and_supersede() -> None:
    position = json.loads(recorded("positions"))["data"][0]
    del position["oldQty"]
    recalled = await recall(Venue(trade__position__opens=[[position]]), "positions")
    assert recalled.superseding
    assert ids(recalled) == [f"{POSITION}:1760000003000:14"]
    assert recalled.told[0].step == Step(POSITION, "14", "14")
    account = json.loads(recorded("account"))["data"][0]
    recalled = await recall(Venue(account__balance=lambda request: account), "account")
    assert recalled.superseding
    assert ids(recalled) == ["USDT:1760000003000:1500.25", "BTC:1759999000000:0.01"]
    with pytest.raises(VenueError):
        await recall(Venue(account__balance=lambda request: {"details": 5}), "account")


async def test_a_channel_without_a_list_is_told_nothing_and_claims_nothing() -> None:
    venue = Venue()
    assert await recall(venue, f"tickers:{SYMBOL}") == Recalled((), None)
    source = source_of(venue)
    channel = channel_of(f"book_lv2:{SYMBOL}")
    assert await source.pull(channel, 1, 5) == ()
    assert await source.snapshot(channel) is None
    await source.close()


@pytest.mark.parametrize("code", [200, "200"])
async def test_the_code_of_an_answer_may_be_a_number_or_text(code: object) -> None:
    venue = Venue(market__trades=lambda request: answer([trade(1, ms(-1))], code))
    assert (await recall(venue, f"trades:{SYMBOL}")).complete_from == SINCE


@pytest.mark.parametrize(
    "refusals, error",
    [
        ([answer(None, 429), answer(None, "429")], None),
        ([httpx.Response(429), httpx.Response(502)], None),
        ([httpx.Response(200, text="<html>")], None),
        ([answer(None, 429)] * 3, VenueError),
        ([answer(None, 11010)], VenueError),
        ([answer(None, 401)], KeyRefused),
        ([httpx.Response(401)], KeyRefused),
        ([httpx.Response(400)], VenueError),
    ],
)
async def test_what_may_pass_is_asked_again_and_what_will_not_is_an_error(
    refusals: list[httpx.Response], error: type[Exception] | None
) -> None:
    venue = Venue(trade__order__trades=[*refusals, []])
    if error is None:
        assert (await recall(venue, "trade")).complete_from == SINCE
        return
    with pytest.raises(VenueError) as raised:
        await recall(venue, "trade")
    assert type(raised.value) is error


async def test_a_question_without_a_key_is_never_answered_that_the_key_is_refused() -> None:
    with pytest.raises(VenueError) as raised:
        await recall(Venue(market__trades=lambda request: httpx.Response(403)), f"trades:{SYMBOL}")
    assert type(raised.value) is VenueError


@pytest.mark.parametrize("status", [400, 408])
async def test_a_clock_that_is_wrong_is_set_right_by_the_refusal_it_causes(status: int) -> None:
    venue_now = START - timedelta(seconds=90)
    stamps: list[int] = []

    def check(request: httpx.Request) -> httpx.Response:
        stamps.append(int(request.headers["signTimestamp"]))
        off_s = stamps[-1] / 1000 - venue_now.timestamp()
        if -5 <= off_s <= 1:
            return answer([], at=venue_now)
        return httpx.Response(status, headers={"date": format_datetime(venue_now, usegmt=True)})

    recalled = await recall(Venue(trade__order__trades=check), "trade")
    assert recalled.complete_from == SINCE
    assert len(stamps) == 2


def test_a_private_channel_without_a_key_is_refused_at_once_and_the_key_is_not_shown() -> None:
    options = PoloniexV3Options(name="p3", topics=("orders",))
    with pytest.raises(ValueError, match="api_key"):
        PoloniexV3(options, clock=ManualClock(START), jitter=lambda: 0.5)
    assert "s3cret" not in repr(PoloniexV3Options(name="p3", topics=(), api_key="s3cret", api_secret="s3cret"))


def test_lines_are_there_only_where_channels_need_them() -> None:
    def names(*topics: str, key: str = "") -> Mapping[str, int]:
        options = PoloniexV3Options(name="p3", topics=topics, api_key=key, api_secret=key)
        source = PoloniexV3(options, clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), jitter=lambda: 0.5)
        return {line.name: len(line.channels) for line in source.lines}

    assert names(f"trades:{SYMBOL}", f"book_lv2:{SYMBOL}") == {"public": 2}
    assert names("orders", key="k") == {"private": 1}
    assert names(*TOPICS, key="k") == {"public": 9, "private": 4}
