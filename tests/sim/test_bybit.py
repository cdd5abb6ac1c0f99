"""The simulated Bybit without a network: what its sockets and lists say, and what they refuse."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from bridge.sim.bybit import API_KEY, API_SECRET, KIT, SHAPE
from bridge.sim.bybit.signing import rest_signature, socket_signature
from bridge.sim.bybit.venue import Bybit
from bridge.sim.market import Asked, Cut, Handshake, Market, Push, Refuse, Said, Say, Scene, Session, Trouble, Truth
from bridge.sim.market.facts import Fact, Fill, OrderChange, Status, Trade
from bridge.sources.bybit.channels import topic_of
from bridge.sources.bybit.frames import FrameReader, News

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
SYMBOL = "BTCUSDT"
PUBLIC = [
    f"{word}.{symbol}"
    for symbol in ("BTCUSDT", "ETHUSDT")
    for word in ("orderbook.1", "orderbook.50", "orderbook.full", "publicTrade", "tickers", "allLiquidation")
]
ALL = ["order", "execution", "execution.fast", "position", "wallet"]
BY_PRODUCT = ["order.linear", "execution.linear", "execution.fast.linear", "position.linear"]
Row = dict[str, object]


def ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)


class Played:
    """A venue without a network, moved by hand."""

    def __init__(self, **options: object) -> None:
        self.market = Market(SHAPE, seed=7)
        self.market.emit(START, 0)
        self.venue = Bybit(Scene(self.market, Truth(), 7, options))
        self.pushes: list[Push] = []
        self.facts: list[Fact] = []

    @property
    def now(self) -> datetime:
        return self.market.now

    def session(self, path: str = "/v5/public/linear", *, expired: bool = False, **query: str) -> Session:
        session = self.venue.meet(Handshake(path, query, {}, expired=expired), self.now)
        assert not isinstance(session, Refuse)
        assert not session.opened(self.now)
        return session

    def private(self) -> Session:
        session = self.session("/v5/private")
        assert authenticate(session, self.now)["success"]
        return session

    def happen(self, happenings: int, *, steps: int = 1, every_s: float = 0.01) -> None:
        for _ in range(steps):
            now = self.now + timedelta(seconds=every_s)
            facts = self.market.emit(now, happenings)
            self.facts += facts
            self.pushes += self.venue.render(facts, now)

    def ask(self, path: str, *, off_s: float = 0.0, key: str = API_KEY, sign: bool = True, **params: Any) -> Row:
        stamp = str(ms(self.now + timedelta(seconds=off_s)))
        faults = {name: params.pop(name) for name in ("shortened", "looping") if name in params}
        query = urlencode({name: str(value) for name, value in params.items()})
        signed = rest_signature(API_SECRET, key, stamp, "5000", query if sign else "else")
        headers = {
            "x-bapi-api-key": key,
            "x-bapi-timestamp": stamp,
            "x-bapi-recv-window": "5000",
            "x-bapi-sign": signed,
        }
        asked = Asked(
            method="GET",
            path=path,
            query=query,
            headers=headers,
            body=b"",
            now=self.now,
            as_of=self.now,
            **faults,
        )
        way = next(way for way in self.venue.ways() if way.path == path)
        answer: Row = json.loads(way.answer(asked).body)
        return answer

    def listed(self, path: str, **params: Any) -> tuple[list[Row], str]:
        answer = self.ask(path, **params)
        assert answer["retCode"] == 0, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result["list"], result.get("nextPageCursor", "")


def said(answers: Sequence[Said]) -> list[Row]:
    return [json.loads(one.frame) for one in answers if isinstance(one, Say)]


def tell(session: Session, now: datetime, **request: object) -> list[Row]:
    return said(session.heard(json.dumps(request), now))


def subscribe(session: Session, *topics: str, now: datetime = START, **more: object) -> list[Row]:
    return tell(session, now, op="subscribe", args=list(topics), **more)


def authenticate(session: Session, now: datetime, *, secret: str = API_SECRET, expires_s: float = 10) -> Row:
    expires = ms(now) + round(expires_s * 1000)
    (answer,) = tell(session, now, op="auth", args=[API_KEY, expires, socket_signature(secret, expires)])
    return answer


def test_everything_pushed_is_read_by_the_adapter_under_the_id_and_time_that_the_truth_knows() -> None:
    played = Played(restart_every=40, raced_rate=0.5)
    subscribe(played.session(), *PUBLIC)
    played.happen(10, steps=200)
    played.happen(0, every_s=4)
    reader = FrameReader([topic_of(name, category="linear") for name in (*PUBLIC, *ALL, *BY_PRODUCT)])
    heard: set[str] = set()
    for push in played.pushes:
        news = reader.read(push.frame)
        assert isinstance(news, News)
        assert [(told.series, told.event.event_id, told.event.occurred_at) for told in news.told] == [
            (push.series, item.event_id, item.at) for item in push.items
        ]
        heard.add(push.series)
    assert heard == {*PUBLIC, *ALL, *BY_PRODUCT}
    for topic in ("orderbook.50", "tickers"):
        for answer in played.session().heard(json.dumps({"op": "subscribe", "args": [f"{topic}.{SYMBOL}"]}), START):
            assert isinstance(answer, Say)
            if answer.told:
                news = reader.read(answer.frame)
                assert isinstance(news, News)
                assert [told.event.event_id for told in news.told] == [item.event_id for item in answer.told]


def test_one_bad_topic_refuses_the_whole_batch() -> None:
    session = Played().session()
    good = f"publicTrade.{SYMBOL}"
    (refused,) = subscribe(session, good, "publicTrade.NONEUSDT", req_id="7")
    assert refused == {
        "success": False,
        "ret_msg": "error:handler not found,topic:publicTrade.NONEUSDT",
        "conn_id": "sim",
        "req_id": "7",
        "op": "subscribe",
    }
    assert not session.pushed(Push(good, good, b"x"))
    assert subscribe(session, good)[0]["success"]
    assert session.pushed(Push(good, good, b"x")) == (b"x",)
    assert "already subscribed" in str(subscribe(session, good)[0]["ret_msg"])
    tell(session, START, op="unsubscribe", args=[good])
    assert not session.pushed(Push(good, good, b"x"))


@pytest.mark.parametrize(
    "product, ack, pong",
    [
        (
            "spot",
            {"success": True, "ret_msg": "subscribe", "conn_id": "sim", "req_id": "", "op": "subscribe"},
            {"success": True, "ret_msg": "pong", "conn_id": "sim", "op": "ping"},
        ),
        (
            "linear",
            {"success": True, "ret_msg": "", "conn_id": "sim", "req_id": "", "op": "subscribe"},
            {"success": True, "ret_msg": "pong", "conn_id": "sim", "req_id": "", "op": "ping"},
        ),
        (
            "option",
            {
                "success": True,
                "conn_id": "sim",
                "data": {"failTopics": [], "successTopics": [f"publicTrade.{SYMBOL}"]},
                "type": "COMMAND_RESP",
            },
            {"args": [str(ms(START))], "op": "pong"},
        ),
    ],
)
def test_each_product_has_its_own_words_for_yes(product: str, ack: Row, pong: Row) -> None:
    session = Played().session(f"/v5/public/{product}")
    assert subscribe(session, f"publicTrade.{SYMBOL}") == [ack]
    assert tell(session, START, op="ping") == [pong]


def test_the_private_socket_wants_a_key_that_is_right_and_in_time() -> None:
    session = Played().session("/v5/private")
    assert subscribe(session, "order")[0]["ret_msg"] == "Request not authorized"
    assert not authenticate(session, START, secret="else")["success"]
    assert not authenticate(session, START, expires_s=0)["success"]
    assert authenticate(session, START) == {"success": True, "ret_msg": "", "op": "auth", "conn_id": "sim"}
    assert subscribe(session, "order", req_id="1") == [
        {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "sim", "req_id": "1"}
    ]
    assert tell(session, START, op="ping", req_id="p") == [
        {"req_id": "p", "op": "pong", "args": [str(ms(START))], "conn_id": "sim"}
    ]
    assert not authenticate(Played().session("/v5/private", expired=True), START)["success"]


def test_topics_of_all_products_and_of_one_are_not_taken_together() -> None:
    session = Played().private()
    assert not subscribe(session, "order", "execution.linear")[0]["success"]
    assert subscribe(session, "order", "execution.fast", "wallet")[0]["success"]
    assert subscribe(session, "execution.fast.linear", "position.linear")[0]["success"]


def test_too_many_topics_are_refused() -> None:
    spot = Played().session("/v5/public/spot")
    assert subscribe(spot, *PUBLIC[:11])[0]["ret_msg"] == "args size >10"
    assert subscribe(spot, *PUBLIC[:6])[0]["success"]
    assert not subscribe(Played().session(), *["publicTrade.X" * 10] * 200)[0]["success"]


def test_junk_is_answered_and_never_an_end() -> None:
    session = Played().private()
    for junk in ("", "[]", b"\xff", '{"op":"subscribe","args":[1]}', '{"op":"auth","args":[]}', '{"op":5}'):
        assert said(session.heard(junk, START))[0]["success"] is False


def test_a_line_without_traffic_is_cut_at_the_scan_after_its_time() -> None:
    session = Played().session("/v5/private", max_active_time="45s")

    def at(seconds: float) -> Sequence[Said]:
        return session.due(START + timedelta(seconds=seconds))

    assert [list(at(second)) for second in (29, 30, 46, 59)] == [[], [], [], []]
    assert list(at(60)) == [Cut()]
    session = Played().session("/v5/private", max_active_time="1m")
    tell(session, START + timedelta(seconds=20), op="ping")
    assert list(at(61)) == []
    for wrong in ("29s", "601s", "11m", "x", "5h"):
        refused = Played().venue.meet(Handshake("/v5/private", {"max_active_time": wrong}, {}), START)
        assert isinstance(refused, Refuse)


def test_pushes_count_as_traffic_too() -> None:
    played = Played()
    session = played.session("/v5/private", max_active_time="30s")
    authenticate(session, START)
    subscribe(session, "order")
    session.pushed(Push("order", "order", b"x"))
    assert list(session.due(START + timedelta(seconds=30))) == []
    assert list(session.due(START + timedelta(seconds=60))) == [Cut()]


def test_an_address_that_connects_too_often_is_refused() -> None:
    played = Played(connections_max=2)
    for _ in range(2):
        played.session()
    assert played.venue.meet(Handshake("/v5/private", {}, {}), START) == Refuse(403)
    later = START + timedelta(minutes=5)
    assert not isinstance(played.venue.meet(Handshake("/v5/private", {}, {}), later), Refuse)


def test_the_best_of_a_book_is_repeated_under_its_number_after_three_seconds() -> None:
    played = Played()
    subscribe(played.session(), f"orderbook.1.{SYMBOL}")
    played.happen(0)
    for _ in range(4):
        played.happen(0, every_s=1)
    first, again = (json.loads(push.frame) for push in played.pushes)
    assert (again["data"], again["cts"]) == (first["data"], first["cts"])
    assert again["ts"] > first["ts"]
    assert played.pushes[1].items[0].optional


def test_a_service_that_restarts_sends_the_whole_under_number_one() -> None:
    played = Played(restart_every=5)
    topic = f"orderbook.50.{SYMBOL}"
    subscribe(played.session(), topic)
    played.happen(10, steps=30)
    frames = [json.loads(push.frame) for push in played.pushes if push.series == topic]
    kinds = [(frame["type"], frame["data"]["u"]) for frame in frames]
    assert ("snapshot", 1) in kinds
    at = kinds.index(("snapshot", 1))
    assert kinds[at + 1] == ("delta", 2)


def test_trades_of_one_match_share_a_sequence_over_several_messages() -> None:
    played = Played()
    played.happen(40)
    messages = [json.loads(push.frame)["data"] for push in played.pushes if push.series == f"publicTrade.{SYMBOL}"]
    assert len(messages) > 1
    assert len({row["seq"] for message in messages for row in message}) == 1


def test_an_order_filled_while_being_cancelled_is_told_twice_and_listed_as_it_ended() -> None:
    played = Played(raced_rate=1)
    played.happen(10, steps=100)
    filled = next(fact for fact in played.facts if isinstance(fact, OrderChange) and fact.status is Status.FILLED)
    rows = [row for push in played.pushes if push.series == "order" for row in json.loads(push.frame)["data"]]
    both = [row for row in rows if row["orderStatus"] == "Filled" and row["updatedTime"] == str(ms(filled.at))]
    assert {row["cancelType"] for row in both} == {"UNKNOWN", "CancelByUser"}
    listed, _ = played.listed("/v5/order/history", category="linear", limit=50)
    assert {row["cancelType"] for row in listed if row["orderStatus"] == "Filled"} == {"CancelByUser"}


def test_fast_fills_come_before_whole_ones() -> None:
    played = Played()
    played.happen(10, steps=20)
    order = [push.series for push in played.pushes if push.series in ("execution", "execution.fast")]
    assert order[:2] == ["execution.fast", "execution"]


def test_fills_are_paged_behind_an_opaque_cursor_newest_first() -> None:
    played = Played()
    played.happen(10, steps=60)
    got: list[object] = []
    cursor = ""
    while True:
        rows, cursor = played.listed("/v5/execution/list", category="linear", limit=7, **_with(cursor))
        got += [row["execId"] for row in rows]
        if not cursor:
            break
        assert "%" in cursor
    fills = [fact for fact in played.facts if isinstance(fact, Fill)]
    assert len(got) == len(set(got)) == len(fills)
    rows, _ = played.listed("/v5/execution/list", category="linear", limit=1)
    assert rows[0]["execTime"] == str(ms(fills[-1].at))
    assert played.listed("/v5/execution/list", category="spot") == ([], "")


def _with(cursor: str) -> Mapping[str, str]:
    return {"cursor": cursor} if cursor else {}


def test_pages_come_short_and_cursors_loop_on_request() -> None:
    played = Played()
    played.happen(10, steps=60)
    rows, cursor = played.listed("/v5/execution/list", category="linear", limit=10, shortened=0.3)
    assert len(rows) == 3
    _, again = played.listed("/v5/execution/list", category="linear", limit=10, cursor=cursor, looping=True)
    assert again == cursor


@pytest.mark.parametrize(
    "path, params, code",
    [
        ("/v5/execution/list", {"category": "linear", "startTime": 0, "endTime": 7 * 86_400_000 + 1}, 10001),
        ("/v5/execution/list", {"category": "linear", "startTime": 5, "endTime": 4}, 10001),
        ("/v5/execution/list", {"category": "linear", "limit": 101}, 10001),
        ("/v5/execution/list", {"category": "linear", "cursor": "junk"}, 10001),
        ("/v5/execution/list", {}, 10001),
        ("/v5/order/realtime", {"category": "linear"}, 10001),
        ("/v5/position/list", {"category": "linear"}, 10001),
        ("/v5/account/wallet-balance", {"accountType": "SPOT"}, 10001),
        ("/v5/order/history", {"category": "linear", "off_s": -6.0}, 10002),
        ("/v5/order/history", {"category": "linear", "off_s": 1.0}, 10002),
        ("/v5/order/history", {"category": "linear", "key": "else"}, 10003),
        ("/v5/order/history", {"category": "linear", "sign": False}, 10004),
        ("/v5/market/recent-trade", {"category": "linear", "symbol": "NONE"}, 10001),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_venues_code(path: str, params: dict[str, Any], code: int) -> None:
    assert Played().ask(path, **params)["retCode"] == code


def test_recent_trades_are_few_on_the_spot_market_and_newest_first() -> None:
    played = Played()
    played.happen(10, steps=60)
    rows, _ = played.listed("/v5/market/recent-trade", category="spot", symbol=SYMBOL, limit=1000)
    assert len(rows) == 60
    newest = [fact for fact in played.facts if isinstance(fact, Trade) and fact.symbol == SYMBOL][-1]
    assert rows[0]["time"] == str(ms(newest.at))


def test_an_order_cancelled_without_a_fill_vanishes_after_a_day() -> None:
    played = Played()
    played.happen(10, steps=60)
    span = {"startTime": ms(START), "endTime": ms(played.now)}

    def statuses() -> set[tuple[object, bool]]:
        rows, _ = played.listed("/v5/order/history", category="linear", limit=50, **span)
        return {(row["orderStatus"], row["cumExecQty"] == "0") for row in rows}

    assert ("Cancelled", True) in statuses()
    played.happen(0, every_s=86_400)
    assert ("Cancelled", True) not in statuses()
    assert ("Filled", False) in statuses()


def test_too_often_is_said_inside_a_200_and_a_ban_by_a_403() -> None:
    venue = Played().venue
    throttled = venue.trouble(Trouble.THROTTLED)
    assert throttled.status == 200
    assert json.loads(throttled.body)["retCode"] == 10006
    assert int(throttled.headers["X-Bapi-Limit-Reset-Timestamp"]) > ms(START)
    assert venue.trouble(Trouble.BANNED).status == 403
    assert json.loads(venue.trouble(Trouble.BROKEN).body)["retCode"] == 10016


def test_an_option_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="weather"):
        KIT.make(Scene(Market(SHAPE, seed=1), Truth(), 1, {"weather": 1}))
