"""The simulated Cryptomus: what its socket and lists say, and what they refuse. No network."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlencode

import pytest

from bridge.core.body_signature import BodySignature
from bridge.sim.cryptomus import API_KEY, KIT, PAYMENT_KEY, SHAPE, USER_ID, callback
from bridge.sim.cryptomus.signing import sign
from bridge.sim.cryptomus.venue import Cryptomus
from bridge.sim.market import (
    Asked,
    Close,
    Cut,
    Handshake,
    Market,
    Push,
    Refuse,
    Said,
    Say,
    Scene,
    Session,
    Trouble,
    Truth,
)
from bridge.sim.market.facts import Fact, Fill, OrderChange, Trade

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
SYMBOL, OTHER = "BTC_USDT", "ETH_USDT"
TOKEN = "/v2/user-api/exchange/account/web-socket/token"
OPEN, HISTORY = "/v2/user-api/exchange/orders", "/v2/user-api/exchange/orders/history"
HEADERS = {"userid": USER_ID, "sign": sign(b"", API_KEY)}
Row = dict[str, object]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Played:
    """A venue without a network, moved by hand."""

    def __init__(self, **options: object) -> None:
        self.market = Market(SHAPE, seed=7)
        self.market.emit(START, 0)
        self.venue = Cryptomus(Scene(self.market, Truth(), 7, {"requests_per_s": 0, **options}))
        self.pushes: list[Push] = []
        self.facts: list[Fact] = []

    def token(self) -> str:
        status, body = self.ask(TOKEN)
        assert status == 200
        return str(body["token"])

    def session(self, now: datetime = START) -> Session:
        session = self.venue.meet(Handshake("/ws", {"token": self.token()}, {}), now)
        assert not isinstance(session, Refuse)
        assert session.opened(now) == []
        return session

    def happen(self, happenings: int, *, steps: int = 1, every_s: float = 0.05) -> list[Push]:
        new: list[Push] = []
        for _ in range(steps):
            facts = self.market.emit(self.market.now + timedelta(seconds=every_s), happenings)
            self.facts += facts
            new += self.venue.render(facts, self.market.now)
        self.pushes += new
        return new

    def of(self, series: str) -> list[Push]:
        return [push for push in self.pushes if push.series == series]

    def ask(
        self, path: str, params: Mapping[str, object] | None = None, *, headers: Mapping[str, str] = HEADERS
    ) -> tuple[int, Row]:
        """``short`` and ``loop`` among the parameters are faults."""
        params = params or {}
        query = urlencode({name: str(value) for name, value in params.items() if name not in ("short", "loop")})
        head, _, pair = path.rpartition("/")
        found = {way.path: way for way in self.venue.ways()}
        asked = Asked(
            method="GET",
            path=path,
            query=query,
            headers=headers,
            body=b"",
            now=self.market.now,
            as_of=self.market.now,
            places={"pair": pair},
            shortened=float(str(params.get("short", 1))),
            looping=bool(params.get("loop")),
        )
        answer = (found.get(path) or found[f"{head}/{{pair}}"]).answer(asked)
        return answer.status, json.loads(answer.body)


def told(said: Sequence[Said]) -> list[Row]:
    return [json.loads(one.frame) for one in said if isinstance(one, Say)]


def request(session: Session, method: str, *params: str, number: int = 1, now: datetime = START) -> list[Row]:
    return told(session.heard(json.dumps({"id": number, "method": method, "params": params}), now))


def test_a_token_opens_one_connection_and_not_for_long() -> None:
    played = Played()
    token = played.token()
    assert not isinstance(played.venue.meet(Handshake("/ws", {"token": token}, {}), at(299)), Refuse)
    for spent in (token, "", "f" * 64):
        refused = played.venue.meet(Handshake("/ws", {"token": spent}, {}), at(299))
        assert isinstance(refused, Refuse)
        assert refused.status == 401
    assert isinstance(played.venue.meet(Handshake("/ws", {"token": played.token()}, {}), at(300)), Refuse)
    assert isinstance(played.venue.meet(Handshake("/ws", {"token": played.token()}, {}, expired=True), START), Refuse)


def test_a_bad_token_may_be_accepted_only_to_be_closed() -> None:
    session = Played(refusal="close4001").venue.meet(Handshake("/ws", {"token": "x"}, {}), START)
    assert not isinstance(session, Refuse)
    assert isinstance(session.opened(START)[0], Close)


def test_some_answers_lack_their_method() -> None:
    session = Played().session()
    done: Row = {"data": {"status": "success"}, "error": None}
    assert request(session, "trade_subscribe", SYMBOL) == [{"id": 1, "method": "trade_subscribe", **done}]
    assert request(session, "deal_subscribe", "all", number=2) == [{"id": 2, **done}]
    assert request(session, "trade_unsubscribe", SYMBOL, number=3) == [{"id": 3, **done}]
    assert request(session, "ping", number=4) == [{"id": 4, "method": "pong", "data": None, "error": None}]


@pytest.mark.parametrize(
    "frame, code",
    [
        ({"id": 1, "method": "trade_subscribe", "params": ["NONE_X"]}, 2),
        ({"id": 1, "method": "depth_subscribe", "params": [SYMBOL]}, 2),
        ({"id": 1, "method": "trade_subscribe", "params": []}, 2),
        ({"id": 1, "method": "news_subscribe", "params": ["all"]}, 2),
        ({"id": 1, "method": "trade_subscribe", "params": [["x"]]}, 2),
        ({"id": 1, "method": "trade_subscribe"}, 1),
        ({"method": "ping", "params": []}, 1),
        ([], 1),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_a_code(frame: object, code: int) -> None:
    (answer,) = told(Played().session().heard(json.dumps(frame), START))
    assert answer["data"] is None
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["code"] == code


def test_a_frame_that_is_no_json_is_the_end() -> None:
    assert Played().session().heard("{", START) == [Close(1003)]
    assert Played(invalid_json_close=1006).session().heard(b"\xff", START) == [Cut()]


def test_a_client_that_asks_for_nothing_is_closed_although_pushes_flow() -> None:
    played = Played()
    session = played.session()
    request(session, "trade_subscribe", "all")
    assert any(session.pushed(push) for push in played.happen(50))
    assert session.due(at(59.9)) == []
    assert session.due(at(60)) == [Close(1000)]
    request(session, "ping", now=at(59))
    assert session.due(at(118)) == []


def test_too_many_requests_are_refused() -> None:
    session = Played(requests_per_s=3).session()
    answers = [request(session, "ping")[0] for _ in range(4)]
    assert [answer["error"] is None for answer in answers] == [True, True, True, False]


@pytest.mark.parametrize("way, hears", [("replace", {OTHER}), ("refuse", {SYMBOL})])
def test_a_second_subscription_to_a_kind_replaces_the_first_or_is_refused(way: str, hears: set[str]) -> None:
    played = Played(resubscribe=way)
    session = played.session()
    request(session, "trade_subscribe", SYMBOL)
    (answer,) = request(session, "trade_subscribe", OTHER, number=2)
    assert (answer["error"] is None) is (way == "replace")
    heard = {push.topic.partition(":")[2] for push in played.happen(200) if session.pushed(push)}
    assert heard == hears
    request(session, "trade_unsubscribe", number=3)
    assert request(session, "trade_subscribe", SYMBOL, OTHER, number=4)[0]["error"] is None


def test_a_book_begins_whole_and_its_changes_lead_from_there_to_the_next_whole() -> None:
    played = Played()
    session = played.session()
    _, first = request(session, "depth_subscribe", f"{SYMBOL}:0")
    frames = [json.loads(frame) for push in played.happen(300) for frame in session.pushed(push)]
    _, last = request(session, "depth_subscribe", f"{SYMBOL}:0", number=2)
    whole = [frame["data"] for frame in (first, last)]
    assert all(isinstance(data, dict) and data["full_reload"] for data in whole)
    for side in ("bids", "asks"):
        levels = dict(whole[0][side])  # type: ignore[index]  # checked above
        for frame in frames:
            assert frame["data"]["full_reload"] is False
            levels |= dict(frame["data"][side])
        assert {price: size for price, size in levels.items() if size != "0"} == dict(whole[1][side])  # type: ignore[index]  # as above


def test_prints_are_numbers_in_one_frame_and_balances_texts_without_a_time() -> None:
    played = Played()
    played.happen(40, steps=5)
    trade = json.loads(played.of(f"trade.{SYMBOL}")[0].frame)["data"]["trades"][0]
    assert type(trade["price"]) is float
    assert type(trade["timestamp"]) is int
    info = json.loads(played.of("balance")[0].frame)["data"]["info"]
    assert set(info) == {"walletId", "currencyCode", "amount", "oldBalance", "newBalance"}
    assert not info["amount"].startswith("-")
    assert len(info["walletId"]) == 26


def test_balances_chain_by_value() -> None:
    played = Played()
    played.happen(20, steps=30)
    infos = [json.loads(push.frame)["data"]["info"] for push in played.of("balance")]
    for currency in ("BTC", "USDT"):
        chain = [info for info in infos if info["currencyCode"] == currency]
        assert len(chain) > 5
        assert all(float(a["newBalance"]) == float(b["oldBalance"]) for a, b in pairwise(chain))


def test_every_fact_of_ours_is_one_event_and_only_last_states_must_be_held() -> None:
    played = Played()
    played.happen(5, steps=200)
    fills = [item for push in played.of("deal") for item in push.items]
    assert len({item.event_id for item in fills}) == sum(isinstance(fact, Fill) for fact in played.facts) > 20
    states = [item for push in played.of("order") for item in push.items]
    changes = [fact for fact in played.facts if isinstance(fact, OrderChange)]
    assert len({item.event_id for item in states}) == len(changes)
    assert [item.optional for item in states] == [not change.status.final for change in changes]
    prints = [item for push in played.pushes if push.series.startswith("trade.") for item in push.items]
    assert (
        len(prints) == sum(isinstance(fact, Trade) for fact in played.facts) > len({item.event_id for item in prints})
    )


def listed(played: Played, path: str, **params: object) -> list[Row]:
    status, body = played.ask(path, params)
    assert status == 200
    rows = body.get("result", body.get("data"))
    assert isinstance(rows, list)
    return rows


def test_completed_orders_hold_their_fills_the_newest_end_first() -> None:
    played = Played()
    played.happen(20, steps=100)
    rows: list[Row] = []
    while page := listed(played, HISTORY, limit=20, offset=len(rows)):
        rows += page
    ended = [fact for fact in played.facts if isinstance(fact, OrderChange) and fact.status.final]
    assert len(rows) == len(ended) > 20
    ends = [str(row["finishedAt"]) for row in rows]
    assert ends == sorted(ends, reverse=True)
    over = {fact.order_id for fact in ended}
    transactions = [one["id"] for row in rows if isinstance(row["deal"], dict) for one in row["deal"]["transactions"]]
    assert len(set(transactions)) == sum(isinstance(fact, Fill) and fact.order_id in over for fact in played.facts)
    assert len(listed(played, HISTORY, limit=20, short=0.1)) == 2
    assert listed(played, HISTORY, limit=20, offset=20, loop=1) == rows[:20]
    assert {row["symbol"] for row in listed(played, HISTORY, market=OTHER, limit=100)} == {OTHER}
    for wrong in ({"limit": 101}, {"offset": 10_001}, {"limit": "x"}):
        with pytest.raises(ValueError, match="invalid"):
            played.ask(HISTORY, wrong)


def test_open_orders_are_those_that_have_not_ended() -> None:
    played = Played()
    played.happen(20, steps=30)
    last = {fact.order_id: fact for fact in played.facts if isinstance(fact, OrderChange)}
    still = [fact for fact in last.values() if not fact.status.final]
    rows = listed(played, OPEN, limit=100)
    assert len(rows) == len(still)
    assert {float(str(row["filledQuantity"])) for row in rows} == {float(fact.filled) for fact in still}


def test_the_newest_trades_are_listed_with_the_volumes_changed_about() -> None:
    played = Played()
    played.happen(50, steps=30)
    trades = [fact for fact in played.facts if isinstance(fact, Trade) and fact.symbol == SYMBOL]
    rows = listed(played, f"/v1/exchange/market/trades/{SYMBOL}")
    assert len(rows) == 100
    assert float(str(rows[0]["quote_volume"])) == float(trades[-1].quantity)
    assert float(str(rows[0]["base_volume"])) == float(trades[-1].quantity * trades[-1].price)
    with pytest.raises(ValueError, match="pair"):
        played.ask("/v1/exchange/market/trades/NONE_X")


def test_what_is_shown_to_everybody() -> None:
    played = Played()
    assert [row["currency_pair"] for row in listed(played, "/v1/exchange/market/tickers")] == [SYMBOL, OTHER]
    assert [row["symbol"] for row in listed(played, "/v2/user-api/exchange/markets")] == [SYMBOL, OTHER]
    assert listed(played, "/api/v2/symbol-scales", symbol=SYMBOL) == [{"scale": "0.5", "index": 0}]
    assert played.ask("/api/v2/symbol-scales", {"symbol": "X"})[0] == 404
    _, book = played.ask(f"/v1/exchange/market/order-book/{SYMBOL}")
    assert isinstance(book["data"], dict)
    assert book["data"]["bids"]


@pytest.mark.parametrize("headers", [{}, {**HEADERS, "sign": "0" * 32}, {**HEADERS, "userid": "x"}])
def test_what_is_ours_needs_our_signature(headers: dict[str, str]) -> None:
    played = Played()
    for path in (TOKEN, HISTORY, OPEN, "/v2/user-api/exchange/account/balance"):
        assert played.ask(path, headers=headers)[0] == 401


def test_troubles_and_options() -> None:
    assert [Played().venue.trouble(trouble).status for trouble in Trouble] == [429, 403, 500, 503]
    played = Played(requests_per_s=1)
    assert played.ask(TOKEN)[0] == 200
    assert played.ask(TOKEN)[0] == 429
    for wrong in ({"colour": "red"}, {"resubscribe": "perhaps"}):
        with pytest.raises(ValueError, match=r"colour|perhaps"):
            KIT.make(Scene(Market(SHAPE, seed=1), Truth(), 1, wrong))


def test_a_callback_is_written_as_php_writes_it_and_verifies() -> None:
    body = callback({"uuid": "u-1", "status": "paid", "additional_data": "a/b é", "txid": None})
    assert "a\\/b é".encode() in body
    assert BodySignature(keys=(PAYMENT_KEY,)).verify([], body, START)
    assert not BodySignature(keys=(API_KEY,)).verify([], body, START)
