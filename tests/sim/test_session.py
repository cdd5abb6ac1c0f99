"""One socket's conversation: what each frame of a client is answered with."""

import json

import pytest

from bridge.sim.playbatman import MARKETS, SocketLimits
from bridge.sim.playbatman.session import Session
from tests.sim.support import START, at, venue_with

ONE, OTHER = MARKETS


def session(limits: SocketLimits | None = None, *, snapshots: bool = False) -> Session:
    venue = venue_with()
    return Session(
        markets=MARKETS,
        limits=limits or SocketLimits(frames_per_s=0),
        snapshot=lambda market_id, now: venue.snapshot(market_id, now) if snapshots else [],
    )


def ask(conversation: Session, frame: object, seconds: float = 0) -> list[dict[str, object]]:
    return [json.loads(answer) for answer in conversation.answers(json.dumps(frame), at(seconds))]


def codes(answers: list[dict[str, object]]) -> list[str]:
    return [json.loads(json.dumps(answer))["payload"]["code"] for answer in answers]


def subscribe(ids: object) -> dict[str, object]:
    return {"type": "SUBSCRIBE", "payload": {"marketIds": ids}}


def test_a_ping_is_answered_with_a_pong() -> None:
    assert ask(session(), {"type": "PING"}) == [{"type": "PONG"}]


@pytest.mark.parametrize("asked, told", [(list(MARKETS), list(MARKETS)), (ONE, [ONE])], ids=["list", "string"])
def test_a_subscription_is_acknowledged_with_a_list(asked: object, told: list[str]) -> None:
    conversation = session()
    assert ask(conversation, subscribe(asked)) == [{"type": "SUBSCRIBED", "payload": {"marketIds": told}}]
    assert conversation.subscribed == set(told)


@pytest.mark.parametrize("asked", [[ONE], ONE], ids=["list", "string"])
def test_an_unsubscription_is_acknowledged_and_takes_effect(asked: object) -> None:
    conversation = session()
    ask(conversation, subscribe(list(MARKETS)))
    answer = ask(conversation, {"type": "UNSUBSCRIBE", "payload": {"marketIds": asked}})
    assert answer == [{"type": "UNSUBSCRIBED", "payload": {"marketIds": [ONE]}}]
    assert conversation.subscribed == {OTHER}


def test_an_unknown_market_is_an_error_and_the_others_are_subscribed() -> None:
    conversation = session()
    subscribed, error = ask(conversation, subscribe(["nowhere", ONE]))
    assert subscribed == {"type": "SUBSCRIBED", "payload": {"marketIds": [ONE]}}
    assert codes([error]) == ["MARKET_NOT_FOUND"]
    assert conversation.subscribed == {ONE}


@pytest.mark.parametrize(
    "junk",
    ["", "{", "[]", "null", '"PING"', '{"type":"INVALID"}', '{"type":"SUBSCRIBE"}', b"\xff\xfe", None]
    + [json.dumps(subscribe(ids)) for ids in (7, None, [ONE, 7], {"a": 1})],
)
def test_junk_is_answered_with_invalid_message(junk: str | bytes | None) -> None:
    answers = [json.loads(answer) for answer in session().answers(junk, START)]
    assert codes(answers) == ["INVALID_MESSAGE"]


def test_too_many_frames_in_a_second_are_refused_until_the_second_is_over() -> None:
    conversation = session(SocketLimits(frames_per_s=20))
    answers = [ask(conversation, {"type": "PING"})[0] for _ in range(21)]
    assert [answer["type"] for answer in answers] == ["PONG"] * 20 + ["ERROR"]
    assert ask(conversation, {"type": "PING"}, 1) == [{"type": "PONG"}]


def test_a_socket_takes_only_so_many_markets() -> None:
    conversation = session(SocketLimits(frames_per_s=0, markets_max=1))
    ask(conversation, subscribe(ONE))
    assert codes(ask(conversation, subscribe(OTHER))) == ["LIMIT_EXCEEDED"]
    assert conversation.subscribed == {ONE}


def test_the_switch_sends_prices_and_a_book_to_a_new_subscriber() -> None:
    told = ask(session(snapshots=True), subscribe(ONE))
    assert [frame["type"] for frame in told] == ["SUBSCRIBED", "PRICE_UPDATE", "ORDERBOOK_UPDATE"]
