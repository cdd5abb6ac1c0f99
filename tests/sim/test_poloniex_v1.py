"""The simulated Poloniex v1: what its socket and lists say, and what they refuse."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from bridge.core.channel import Link
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
from bridge.sim.poloniex_v1 import API_KEY, API_SECRET, KIT, PASSPHRASE, SHAPE
from bridge.sim.poloniex_v1.signing import signature
from bridge.sim.poloniex_v1.venue import PoloniexV1
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.frames import FrameReader
from bridge.sources.poloniex_v1.frames import Said as Event

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
SYMBOL = "BTCUSDTPERP"
BOOK = f"/contractMarket/level2:{SYMBOL}"
TRADES = f"/contractMarket/execution:{SYMBOL}"
ORDERS = "/contractMarket/tradeOrders"
WORDS = ("level2", "execution", "ticker", "level2Depth5", "tradeOrders")
TOPICS = (
    *(f"/contractMarket/{word}:{symbol}" for word in WORDS for symbol in (SYMBOL, "ETHUSDTPERP")),
    *(f"/contract/{word}:{symbol}" for word in ("instrument", "position") for symbol in (SYMBOL, "ETHUSDTPERP")),
    ORDERS,
    "/contractAccount/wallet",
)
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
        self.venue = PoloniexV1(Scene(self.market, Truth(), 7, options))
        self.facts: list[Fact] = []
        self.pushes: list[Push] = []

    def token(self, *, private: bool = False) -> str:
        path = "/api/v1/bullet-private" if private else "/api/v1/bullet-public"
        token = self.ask(path, method="POST")["data"]["token"]
        assert isinstance(token, str)
        return token

    def meet(self, token: str, *, now: datetime = START, accept: bool = True, **more: object) -> Session | Refuse:
        query = {"token": token, "connectId": "c-1", **({"acceptUserMessage": "true"} if accept else {})}
        return self.venue.meet(Handshake("/endpoint", query, {}, **more), now)  # type: ignore[arg-type]  # mixed

    def session(self, *, private: bool = False, accept: bool = True) -> Session:
        session = self.meet(self.token(private=private), accept=accept)
        assert not isinstance(session, Refuse)
        assert told(session.opened(START)) == [{"id": "c-1", "type": "welcome"}]
        return session

    def happen(self, happenings: int, *, steps: int = 1, every_s: float = 0.01) -> list[Push]:
        new: list[Push] = []
        for _ in range(steps):
            now = self.market.now + timedelta(seconds=every_s)
            facts = self.market.emit(now, happenings)
            self.facts += facts
            new += self.venue.render(facts, now)
        self.pushes += new
        return new

    def of(self, series: str) -> list[Push]:
        return [push for push in self.pushes if push.series == series]

    def ask(
        self,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        method: str = "GET",
        off_s: float = 0.0,
        short: float = 1.0,
        loop: bool = False,
        **headers: str,
    ) -> dict[str, Any]:
        query = urlencode({name: str(value) for name, value in (params or {}).items()})
        stamp = str(ms(self.market.now + timedelta(seconds=off_s)))
        target = f"{path}?{query}" if query else path
        signed = {
            "pf-api-key": API_KEY,
            "pf-api-sign": signature(API_SECRET, stamp, method, target, b""),
            "pf-api-timestamp": stamp,
            "pf-api-passphrase": PASSPHRASE,
        }
        signed |= {f"pf-api-{name}": value for name, value in headers.items()}
        asked = Asked(
            method=method,
            path=path,
            query=query,
            headers=signed,
            body=b"",
            now=self.market.now,
            as_of=self.market.now,
            shortened=short,
            looping=loop,
        )
        (way,) = (way for way in self.venue.ways() if (way.method, way.path) == (method, path))
        answer: dict[str, Any] = json.loads(way.answer(asked).body)
        return answer


def told(said: Sequence[Said]) -> list[Row]:
    return [json.loads(one.frame) for one in said if isinstance(one, Say)]


def ask(session: Session, now: datetime = START, /, **request: object) -> list[Row]:
    return told(session.heard(json.dumps(request), now))


def subscribe(session: Session, topic: str, **more: object) -> list[Row]:
    return ask(session, id=7, type="subscribe", topic=topic, response=True, **more)


ACK = [{"id": "7", "type": "ack"}]


@pytest.mark.parametrize("options", [{}, {"linked": False}, {"bundled": False}])
def test_the_adapter_reads_of_every_frame_exactly_what_the_truth_says(options: Row) -> None:
    played = Played(**options)
    reader = FrameReader(channels_of(TOPICS))
    series = set()
    for push in played.happen(4, steps=300):
        heard = reader.read(push.frame)
        assert isinstance(heard, Event)
        (item,) = push.items
        event = heard.told.event
        assert (heard.told.series, event.event_id, event.occurred_at) == (push.series, item.event_id, item.at)
        if item.number is not None:
            assert heard.told.link == Link(item.number, item.previous if "linked" not in options else None)
        series.add(push.series)
    assert series == {channel.series for channel in channels_of(TOPICS)}
    ids = [(push.series, item.event_id) for push in played.pushes for item in push.items]
    assert len(set(ids)) == len(ids)


def test_what_happens_in_one_moment_is_told_apart() -> None:
    played = Played()
    played.happen(30, steps=100, every_s=0.0)
    ids = [(push.series, item.event_id) for push in played.pushes for item in push.items]
    assert len(set(ids)) == len(ids)


def test_a_book_is_linked_without_a_hole_and_its_numbers_jump() -> None:
    played = Played()
    played.happen(6, steps=200)
    data = [json.loads(push.frame)["data"] for push in played.of(f"level2.{SYMBOL}")]
    assert all(later["lastSequence"] == earlier["sequence"] for earlier, later in pairwise(data))
    assert any(len(row["changes"]) < row["sequence"] - row["lastSequence"] for row in data)


def test_an_acknowledgement_comes_only_when_asked_for_and_with_the_id_as_text() -> None:
    session = Played().session()
    assert subscribe(session, TRADES) == ACK
    assert ask(session, id=8, type="subscribe", topic=BOOK) == []
    assert ask(session, id="x", type="unsubscribe", topic=BOOK, response=True) == [{"id": "x", "type": "ack"}]


def test_what_was_subscribed_is_pushed_and_what_was_left_is_not() -> None:
    played = Played()
    session = played.session()
    subscribe(session, f"{TRADES},ETHUSDTPERP")
    heard = {push.series for push in played.happen(60) if session.pushed(push)}
    assert heard == {f"execution.{SYMBOL}", "execution.ETHUSDTPERP"}
    ask(session, id=9, type="unsubscribe", topic=TRADES)
    assert {push.series for push in played.happen(60) if session.pushed(push)} == {"execution.ETHUSDTPERP"}


@pytest.mark.parametrize("topic", ["/contractMarket/level2:NOSUCH", f"{BOOK},NOSUCH", "/contractMarket/level2", "x"])
def test_a_request_with_an_unknown_topic_is_refused_whole(topic: str) -> None:
    played = Played()
    session = played.session()
    (refused,) = subscribe(session, topic)
    assert (refused["id"], refused["type"], refused["code"]) == ("7", "error", 404)
    assert not any(session.pushed(push) for push in played.happen(60))


def test_an_error_may_name_the_connection_instead() -> None:
    (refused,) = subscribe(Played(error_names_connection=True).session(), "/contractMarket/level2:NOSUCH")
    assert refused["id"] == "c-1"


def test_private_topics_need_a_private_token_the_flag_and_a_connection_that_accepts_them() -> None:
    played = Played()
    (refused,) = subscribe(played.session(), ORDERS, privateChannel=True)
    assert refused["code"] == 403
    (refused,) = subscribe(played.session(private=True), ORDERS, privateChannel=False)
    assert refused["code"] == 403
    accepting, deaf = played.session(private=True), played.session(private=True, accept=False)
    assert subscribe(accepting, ORDERS, privateChannel=True) == ACK == subscribe(deaf, ORDERS, privateChannel=True)
    pushes = played.happen(60)
    frames = [json.loads(frame) for push in pushes for frame in accepting.pushed(push)]
    assert frames
    assert all(frame["userId"] for frame in frames)
    assert not any(deaf.pushed(push) for push in pushes)


def test_tunnels_are_at_most_five_and_are_named_in_what_comes_through_them() -> None:
    played = Played()
    session = played.session(private=True)
    for number in range(1, 6):
        assert ask(session, id=7, type="openTunnel", newTunnelId=f"bt{number}", response=True) == ACK
    (refused,) = ask(session, id=7, type="openTunnel", newTunnelId="bt6", response=True)
    assert refused["type"] == "error"
    (refused,) = subscribe(session, TRADES, tunnelId="bt6")
    assert refused["code"] == 404
    assert subscribe(session, TRADES, tunnelId="bt2") == ACK
    frames = [frame for push in played.happen(60) for frame in session.pushed(push)]
    assert {json.loads(frame)["tunnelId"] for frame in frames} == {"bt2"}
    assert ask(session, id=7, type="closeTunnel", tunnelId="bt2", response=True) == ACK
    assert not any(session.pushed(push) for push in played.happen(60))
    (refused,) = ask(played.session(), id=7, type="openTunnel", newTunnelId="bt1", response=True)
    assert refused["code"] == 403


def test_a_client_that_does_not_ping_is_left_after_a_minute_whatever_else_it_says() -> None:
    session = Played().session()
    subscribe(session, TRADES)
    assert session.due(at(59.9)) == []
    assert ask(session, at(59), id="p1", type="ping") == [{"id": "p1", "type": "pong"}]
    assert session.due(at(118)) == []
    assert session.due(at(119)) == [Close(1000)]
    rough = Played(cut_code=1006, silence_s=2).session()
    assert rough.due(at(2)) == [Cut()]


def test_a_client_that_says_too_much_is_cut() -> None:
    session = Played().session()
    said = [session.heard('{"id":"1","type":"ping"}', START) for _ in range(101)]
    assert said[-1][-1] == Cut()
    assert not any(isinstance(one, Cut) for one in said[99])
    assert session.heard('{"id":"1","type":"ping"}', at(10))[-1] != Cut()


def test_a_bad_token_is_told_in_an_error_and_then_the_connection_is_closed() -> None:
    played = Played(token_single_use=True, token_ttl_s=10)
    token = played.token()
    for session in (
        played.meet("nonsense"),
        played.meet(played.token(), now=at(11)),
        played.meet(played.token(), expired=True),
        (played.meet(token), played.meet(token))[1],
    ):
        assert not isinstance(session, Refuse)
        error, closed = session.opened(START)
        assert (told([error])[0]["code"], closed) == (401, Close(1000))


def test_a_token_may_be_used_again_unless_told_otherwise() -> None:
    played = Played()
    token = played.token()
    for _ in range(2):
        session = played.meet(token)
        assert not isinstance(session, Refuse)
        assert len(session.opened(START)) == 1


def test_connections_are_limited_in_number_and_in_time() -> None:
    played = Played()
    token = played.token()
    assert isinstance(played.meet(token, connections=50), Refuse)
    assert not any(isinstance(played.meet(token), Refuse) for _ in range(30))
    assert isinstance(played.meet(token), Refuse)
    assert not isinstance(played.meet(token, now=at(60)), Refuse)


def test_the_numbers_of_a_book_can_be_pulled_at_most_500_at_once() -> None:
    played = Played()
    played.happen(6, steps=200)
    items = [item for push in played.of(f"level2.{SYMBOL}") for item in push.items]
    first, last = items[3].previous, items[9].number
    assert first is not None
    assert last is not None
    path = "/api/v1/level2/message/query"
    rows = played.ask(path, {"symbol": SYMBOL, "start": first + 1, "end": last})["data"]
    assert [row["sequence"] for row in rows] == list(range(first + 1, last + 1))
    parts = [part for item in items[3:10] for part in item.parts or ((item.event_id, item.number),)]
    assert [(str(number), number) for number in range(first + 1, last + 1)] == parts
    assert played.ask(path, {"symbol": SYMBOL, "start": 1, "end": 501})["code"] == "200001"
    assert played.ask(path, {"symbol": SYMBOL, "start": 1, "end": 500})["code"] == "200000"


def test_the_history_holds_the_last_hundred_trades_newest_first() -> None:
    played = Played()
    played.happen(10, steps=100)
    rows = played.ask("/api/v1/trade/history", {"symbol": SYMBOL})["data"]
    numbers = [fact.number for fact in played.facts if isinstance(fact, Trade) and fact.symbol == SYMBOL]
    assert [row["sequence"] for row in rows] == numbers[:-101:-1]


def test_the_lists_of_fills_and_orders_agree_with_what_happened() -> None:
    played = Played()
    played.happen(4, steps=200)
    fills = [fact for fact in played.facts if isinstance(fact, Fill)]
    recent = played.ask("/api/v1/recentFills")["data"]
    assert [row["tradeId"] for row in recent] == [fill.token[:24] for fill in fills[::-1]]
    page = played.ask("/api/v1/fills", {"pageSize": 10, "currentPage": 2})["data"]
    assert (page["totalNum"], page["items"]) == (len(fills), recent[10:20])
    assert played.ask("/api/v1/fills", {"pageSize": 10, "currentPage": 2}, loop=True)["data"]["items"] == recent[:10]
    ended = {fact.order_id[:24] for fact in played.facts if isinstance(fact, OrderChange) and fact.status.final}
    assert {row["id"] for row in played.ask("/api/v1/recentDoneOrders")["data"]} == ended
    active = played.ask("/api/v1/orders", {"status": "active", "pageSize": 1000})["data"]["items"]
    made = {fact.order_id[:24] for fact in played.facts if isinstance(fact, OrderChange)}
    assert {row["id"] for row in active} == made - ended
    week_ms = 7 * 86_400_000
    assert played.ask("/api/v1/fills", {"startAt": 0, "endAt": week_ms + 1})["code"] == "400100"


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"passphrase": ""}, "400001"),
        ({"off_s": 5.1}, "400002"),
        ({"key": "other"}, "400003"),
        ({"passphrase": "other"}, "400004"),
        ({"sign": "other"}, "400005"),
    ],
)
def test_what_is_not_signed_as_it_must_be_is_refused(changes: dict[str, str], code: str) -> None:
    answer = Played().ask("/api/v1/bullet-private", method="POST", **changes)  # type: ignore[arg-type]  # mixed
    assert answer["code"] == code


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown options"):
        Played(nonsense=1)
    with pytest.raises(ValueError, match="unknown options"):
        Played(silence_s="long")


def test_refusals_of_the_server_come_in_the_venues_words() -> None:
    venue = Played().venue
    assert {trouble: venue.trouble(trouble).status for trouble in Trouble} == {
        Trouble.THROTTLED: 429,
        Trouble.BANNED: 403,
        Trouble.BROKEN: 500,
        Trouble.DOWN: 503,
    }
    assert KIT.venue == "poloniex_v1"
