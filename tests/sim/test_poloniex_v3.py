"""The simulated Poloniex v3: what its sockets and lists say, and what they refuse."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlencode

import pytest

from bridge.sim.market import Asked, Cut, Handshake, Market, Push, Refuse, Said, Say, Scene, Session, Trouble, Truth
from bridge.sim.market.facts import Fact, Fill, OrderChange, Trade
from bridge.sim.poloniex_v3 import API_KEY, API_SECRET, KIT, SHAPE
from bridge.sim.poloniex_v3.signing import rest_signature, socket_signature
from bridge.sim.poloniex_v3.venue import PRIVATE_PATH, PUBLIC_PATH, PoloniexV3

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
SYMBOL = "BTC_USDT_PERP"
OTHER = "ETH_USDT_PERP"
Row = dict[str, object]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)


class Played:
    """A venue without a network, moved by hand."""

    def __init__(self, **options: object) -> None:
        self.market = Market(SHAPE, seed=7)
        self.market.emit(START, 0)
        self.venue = PoloniexV3(Scene(self.market, Truth(), 7, {"early_rate": 0, **options}))
        self.pushes: list[Push] = []
        self.facts: list[Fact] = []

    def session(self, path: str = PUBLIC_PATH, *, expired: bool = False) -> Session:
        session = self.venue.meet(Handshake(path, {}, {}, expired=expired), START)
        assert not isinstance(session, Refuse)
        assert session.opened(START) == []
        return session

    def happen(self, happenings: int, *, steps: int = 1, every_s: float = 0.01) -> list[Push]:
        new: list[Push] = []
        for step in range(steps):
            now = max(self.market.now, START) + timedelta(seconds=every_s * (step > 0))
            facts = self.market.emit(now, happenings)
            self.facts += facts
            new += self.venue.render(facts, now)
        self.pushes += new
        return new

    def of(self, series: str) -> list[Push]:
        return [push for push in self.pushes if push.series == series]

    def ask(
        self, path: str, params: Mapping[str, object] | None = None, *, sign: bool = True, off_s: float = 0.0
    ) -> tuple[int, object]:
        """``short`` and ``loop`` among the parameters are faults."""
        params = params or {}
        now = self.market.now
        stamp = str(ms(now + timedelta(seconds=off_s)))
        query = urlencode({name: str(value) for name, value in params.items() if name not in ("short", "loop")})
        headers = {
            "key": API_KEY,
            "signtimestamp": stamp,
            "signature": rest_signature(API_SECRET, "GET", f"/v3/{path}", query, stamp),
        }
        asked = Asked(
            method="GET",
            path=f"/v3/{path}",
            query=query,
            headers=headers if sign else {},
            body=b"",
            now=now,
            as_of=now,
            shortened=float(str(params.get("short", 1))),
            looping=bool(params.get("loop")),
        )
        way = next(way for way in self.venue.ways() if way.path == asked.path)
        answer = way.answer(asked)
        return answer.status, json.loads(answer.body).get("data")


def told(said: Sequence[Said]) -> list[Row]:
    return [json.loads(one.frame) for one in said if isinstance(one, Say)]


def ask(session: Session, now: datetime = START, /, **request: object) -> list[Row]:
    return told(session.heard(json.dumps(request), now))


def subscribe(session: Session, *words: str, symbols: Sequence[str] = (SYMBOL,), **more: object) -> list[Row]:
    return ask(session, event="subscribe", channel=list(words), symbols=list(symbols), **more)


def authenticate(session: Session, *, secret: str = API_SECRET, off_s: float = 0.0) -> Row:
    stamp = ms(at(off_s))
    params = {"key": API_KEY, "signTimestamp": stamp, "signature": socket_signature(secret, str(stamp))}
    (answer,) = ask(session, event="subscribe", channel=["auth"], params=params)
    data = answer["data"]
    assert isinstance(data, dict)
    return data


def rows(push: Push) -> list[Row]:
    found: list[Row] = json.loads(push.frame)["data"]
    return found


def test_each_channel_is_acknowledged_by_itself_with_the_symbols_that_are_known() -> None:
    assert subscribe(Played().session(), "trades", "tickers", symbols=["NONE_X", SYMBOL]) == [
        {"event": "subscribe", "channel": "trades", "symbols": [SYMBOL]},
        {"event": "subscribe", "channel": "tickers", "symbols": [SYMBOL]},
    ]


@pytest.mark.parametrize(
    "words, symbols, more, text",
    [
        (["trades"], ["NONE_X"], {}, "no valid symbols"),
        (["trades", "x"], [SYMBOL], {}, 'Invalid channel values ["x"]'),
        (["orders"], [SYMBOL], {}, 'Invalid channel values ["orders"]'),
        (["book_lv2"], ["all"], {}, "All symbols subscription is not allowed"),
        (["book"], [SYMBOL], {"depth": 30}, "Invalid depth: 30"),
    ],
)
def test_a_refusal_names_no_request(words: list[str], symbols: list[str], more: Row, text: str) -> None:
    session = Played().session()
    assert subscribe(session, *words, symbols=symbols, **more) == [{"event": "error", "message": text}]
    assert ask(session, event="list_subscriptions") == [{"subscriptions": []}]


def test_junk_is_refused_and_the_socket_stays() -> None:
    session = Played().session()
    for junk in ("{", b"\xff", "[1]", '{"event":"dance"}', '"x"'):
        assert [row["event"] for row in told(session.heard(junk, START))] == ["error"]
    assert told(session.heard("PING", START)) == [{"event": "pong"}] == ask(session, event="ping")


def test_a_silent_client_is_cut_without_a_close_frame_although_pushes_flow() -> None:
    played = Played()
    session = played.session()
    subscribe(session, "trades")
    assert any(session.pushed(push) for push in played.happen(50))
    assert session.due(at(29.9)) == []
    assert session.due(at(30)) == [Cut()]
    session.heard("ping", at(29))
    assert session.due(at(58.9)) == []


def test_a_client_that_asks_too_often_is_cut() -> None:
    session = Played().session()
    assert [session.heard("ping", START) for _ in range(501)][-1] == [Cut()]
    assert session.heard("ping", at(1)) != [Cut()]


def test_private_channels_are_for_those_who_have_shown_the_key() -> None:
    played = Played()
    session = played.session(PRIVATE_PATH)
    assert ask(session, event="subscribe", channel=["orders"]) == [
        {"event": "error", "message": "user must be authenticated!"}
    ]
    assert authenticate(session)["success"] is True
    assert subscribe(session, "orders", symbols=["all"])[0]["symbols"] == ["all"]
    assert any(session.pushed(push) for push in played.happen(50))


@pytest.mark.parametrize("wrong", [{"secret": "x"}, {"off_s": 1.5}, {"off_s": -61}])
def test_a_key_that_is_wrong_or_signed_at_a_wrong_time_is_refused(wrong: dict[str, str]) -> None:
    assert authenticate(Played().session(PRIVATE_PATH), **wrong)["success"] is False  # type: ignore[arg-type]  # mixed


def test_a_signature_is_refused_where_the_fault_lets_it_expire() -> None:
    assert authenticate(Played().session(PRIVATE_PATH, expired=True))["success"] is False


def test_a_book_begins_with_a_snapshot_a_moment_later_and_is_linked_from_there() -> None:
    played = Played()
    session = played.session()
    subscribe(session, "book_lv2")
    assert not any(session.pushed(push) for push in played.happen(40) if push.topic.startswith("book_lv2"))
    assert session.due(at(0.05)) == []
    (snapshot,) = session.due(at(0.1))
    assert isinstance(snapshot, Say)
    assert snapshot.told[0].optional
    (row,) = json.loads(snapshot.frame)["data"]
    frames = [frame for push in played.happen(300) for frame in session.pushed(push)]
    chain = [(one["lid"], one["id"]) for frame in frames for one in json.loads(frame)["data"]]
    assert chain[0][0] == row["id"]
    assert all(before[1] == after[0] for before, after in pairwise(chain))
    assert any(after - before > 1 for before, after in chain)


def test_the_window_has_twenty_levels_and_what_leaves_it_is_told_with_a_size_of_zero() -> None:
    played = Played()
    session = played.session()
    subscribe(session, "book_lv2")
    (snapshot,) = session.due(at(1))
    assert isinstance(snapshot, Say)
    (row,) = json.loads(snapshot.frame)["data"]
    book = {side: dict(row[side]) for side in ("asks", "bids")}
    played.happen(600)
    for push in played.of(f"book_lv2.{SYMBOL}"):
        for side, levels in book.items():
            changed: list[tuple[str, str]] = json.loads(push.frame)["data"][0][side]
            levels.update(dict(changed))
            for price in [price for price, size in levels.items() if size == "0"]:
                del levels[price]
            assert len(levels) <= 20
    session.heard(json.dumps({"event": "subscribe", "channel": ["book_lv2"], "symbols": [SYMBOL]}), at(2))
    (again,) = session.due(at(3))
    assert isinstance(again, Say)
    (row,) = json.loads(again.frame)["data"]
    assert book == {side: dict(row[side]) for side in ("asks", "bids")}


def test_an_update_may_overtake_its_snapshot() -> None:
    played = Played(early_rate=1)
    session = played.session()
    subscribe(session, "book_lv2")
    assert any(session.pushed(push) for push in played.happen(60) if push.topic == f"book_lv2:{SYMBOL}")


def test_who_leaves_a_book_hears_no_more_of_it_until_the_next_snapshot() -> None:
    played = Played()
    session = played.session()
    subscribe(session, "book_lv2")
    session.due(at(1))
    (left,) = ask(session, event="unsubscribe", channel=["book_lv2"], symbols=[SYMBOL])
    assert left["event"] == "unsubscribe"
    subscribe(session, "book_lv2")
    assert not any(session.pushed(push) for push in played.happen(60) if push.topic == f"book_lv2:{SYMBOL}")
    assert len(session.due(at(2))) == 1


def test_a_whole_book_repeats_itself_under_a_new_number() -> None:
    played = Played(repeat_rate=1)
    played.happen(20)
    first, second = (rows(push)[0] for push in played.of(f"book.{SYMBOL}")[:2])
    assert first["id"] != second["id"]
    assert (first["asks"], first["bids"]) == (second["asks"], second["bids"])


def test_every_fact_of_ours_is_one_event_with_an_id_of_its_own() -> None:
    played = Played()
    played.happen(100, steps=10)
    for series, kind in (("orders", OrderChange), ("trade", Fill)):
        items = [item for push in played.of(series) for item in push.items]
        assert len(items) == sum(isinstance(fact, kind) for fact in played.facts) > 20
        assert len({item.event_id for item in items}) == len(items)
    for series in ("positions", "account"):
        items = [item for push in played.of(series) for item in push.items]
        assert len({item.event_id for item in items}) == len(items) > 20


def test_positions_chain_by_value_in_the_order_of_their_times() -> None:
    played = Played()
    played.happen(20, steps=50)
    told_rows = [rows(push)[0] for push in played.of("positions")]
    for symbol in (SYMBOL, OTHER):
        chain = sorted((row for row in told_rows if row["symbol"] == symbol), key=lambda row: int(str(row["uTime"])))
        assert all(before["qty"] == after["oldQty"] for before, after in pairwise(chain))


def test_prices_are_repeated_once_a_second_whatever_happens() -> None:
    played = Played()
    played.happen(0, steps=40, every_s=0.1)
    assert len(played.of(f"mark_price.{SYMBOL}")) == 4
    assert len(played.of(f"funding_rate.{SYMBOL}")) == 1


def test_the_newest_trades_are_listed_without_a_cursor() -> None:
    played = Played()
    played.happen(50, steps=10)
    numbers = [fact.number for fact in played.facts if isinstance(fact, Trade) and fact.symbol == SYMBOL]
    status, listed = played.ask("market/trades", {"symbol": SYMBOL, "limit": 20}, sign=False)
    assert status == 200
    assert isinstance(listed, list)
    assert [row["id"] for row in listed] == numbers[:-21:-1]
    with pytest.raises(ValueError, match="limit"):
        played.ask("market/trades", {"symbol": SYMBOL, "limit": 1001})
    with pytest.raises(ValueError, match="symbol"):
        played.ask("market/trades", {"symbol": "NONE"})


def listed(played: Played, path: str, **params: object) -> list[Row]:
    status, found = played.ask(path, params)
    assert status == 200
    assert isinstance(found, list)
    return found


def test_fills_are_paged_by_the_id_of_the_last_row() -> None:
    played = Played()
    played.happen(50, steps=20)
    fills = [fact for fact in played.facts if isinstance(fact, Fill)]
    seen: list[Row] = []
    params: dict[str, object] = {}
    while page := listed(played, "trade/order/trades", limit=10, **params):
        seen += page
        params = {"from": page[-1]["id"], "direct": "NEXT"}
    assert [row["trdId"] for row in seen] == [str(fill.number) for fill in reversed(fills)]
    assert len(seen) > 30
    looping = listed(played, "trade/order/trades", limit=10, **{"from": seen[9]["id"], "loop": 1})
    assert looping[-1]["id"] == seen[9]["id"]
    assert len(listed(played, "trade/order/trades", limit=20, short=0.2)) == 4
    back = listed(played, "trade/order/trades", limit=10, **{"from": seen[9]["id"], "direct": "PREV"})
    assert back == seen[:9]


def test_orders_are_open_or_over_and_cancelled_ones_fade() -> None:
    played = Played()
    played.happen(50, steps=4)
    now = ms(played.market.now)
    opened = listed(played, "trade/order/opens", limit=100)
    over = listed(played, "trade/order/history", limit=100, sTime=ms(START), eTime=now)
    assert {row["state"] for row in opened} <= {"NEW", "PARTIALLY_FILLED"}
    assert {row["state"] for row in over} == {"FILLED", "CANCELED"}
    assert not {row["ordId"] for row in opened} & {row["ordId"] for row in over}
    unfilled = {row["ordId"] for row in over if row["state"] == "CANCELED" and row["execQty"] == "0"}
    played.market.emit(played.market.now + timedelta(hours=5), 0)
    later = listed(played, "trade/order/history", limit=100)
    assert unfilled
    assert not unfilled & {row["ordId"] for row in later}


def test_the_present_state_is_that_of_the_last_push() -> None:
    played = Played()
    played.happen(20, steps=20)
    last = {rows(push)[0]["symbol"]: rows(push)[0] for push in played.of("positions")}
    shown = {row["symbol"]: row for row in listed(played, "trade/position/opens")}
    assert shown
    assert all(row["uTime"] == last[symbol]["uTime"] for symbol, row in shown.items())
    assert all("oldQty" not in row for row in shown.values())
    _, account = played.ask("account/balance")
    assert isinstance(account, dict)
    assert {row["ccy"] for row in account["details"]} == {"BTC", "ETH", "USDT"}


@pytest.mark.parametrize(
    "wrong, status", [({"sign": False}, 400), ({"off_s": 1.5}, 400), ({"off_s": -6}, 408), ({"off_s": 0.9}, 200)]
)
def test_a_question_needs_a_signature_of_this_moment(wrong: dict[str, float], status: int) -> None:
    assert Played().ask("account/balance", **wrong)[0] == status  # type: ignore[arg-type]  # a flag or seconds


def test_too_often_is_said_by_the_status_and_inside_a_200() -> None:
    venue = Played().venue
    assert [venue.trouble(trouble).status for trouble in Trouble] == [429, 200, 502, 503]


def test_options_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        KIT.make(Scene(Market(SHAPE, seed=1), Truth(), 1, {"colour": "red"}))
    assert isinstance(Played().venue.meet(Handshake(PUBLIC_PATH, {}, {}, connections=2000), START), Refuse)
