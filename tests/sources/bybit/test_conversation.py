"""The conversation on one socket, without a socket."""

import json

import pytest

from bridge.sources.base import Connected, Subscribed, Unsubscribed
from bridge.sources.bybit.channels import topic_of
from bridge.sources.bybit.conversation import BybitConversation
from bridge.sources.socket import Heard
from bridge.sources.wire import Closed
from tests.sources.bybit.recorded import ms, recorded

A, B, C, D = (f"publicTrade.{symbol}USDT" for symbol in ("AAA", "BBB", "CCC", "DDD"))


def public(*names: str, args_max: int = 10) -> BybitConversation:
    return BybitConversation([topic_of(name, category="linear") for name in names], args_max=args_max)


def private(*names: str, clock_is_wrong: list[bool] | None = None) -> BybitConversation:
    return BybitConversation(
        [topic_of(name, category="linear") for name in names],
        args_max=10,
        auth=lambda: "the key",
        clock_is_wrong=lambda: (clock_is_wrong if clock_is_wrong is not None else []).append(True),
    )


def asked(heard: Heard) -> list[str]:
    """The topics of the one request in ``heard``."""
    (frame,) = heard.say
    request = json.loads(frame)
    assert request["op"] == "subscribe"
    assert isinstance(request["args"], list)
    return list(request["args"])


def ack(heard: Heard, **changes: object) -> bytes:
    """The venue's answer to the last request in ``heard``."""
    request = json.loads(heard.say[-1])
    answer = {"success": True, "ret_msg": "", "conn_id": "c", "req_id": request["req_id"], "op": "subscribe"}
    return json.dumps({name: value for name, value in (answer | changes).items() if value is not ...}).encode()


def refusal(heard: Heard, topic: str, why: str = "error:handler not found") -> bytes:
    return ack(heard, success=False, ret_msg=f"{why},topic:{topic}")


def test_a_public_line_asks_first_and_is_ready_when_everything_is_answered() -> None:
    line = public(A, B, C, args_max=2)
    first = line.open()
    assert asked(first) == [A, B]
    second = line.hear(ack(first))
    assert second.updates == (Subscribed((A, B)),)
    assert asked(second) == [C]
    assert not line.ready
    assert line.hear(ack(second)).updates == (Subscribed((C,)), Connected())
    assert line.ready


@pytest.mark.parametrize(
    "answer",
    [
        {"ret_msg": "subscribe"},
        {"req_id": ""},
        {"req_id": ...},
        {
            "op": ...,
            "ret_msg": ...,
            "req_id": ...,
            "type": "COMMAND_RESP",
            "data": {"successTopics": [A], "failTopics": []},
        },
    ],
)
def test_every_shape_of_acknowledgement_is_one(answer: dict[str, object]) -> None:
    line = public(A)
    assert line.hear(ack(line.open(), **answer)).updates == (Subscribed((A,)), Connected())


def test_a_bad_topic_is_taken_out_and_the_rest_is_asked_for_again() -> None:
    line = public(A, B, C)
    again = line.hear(refusal(line.open(), B))
    assert again.updates == (Unsubscribed((B,), f"error:handler not found,topic:{B}"),)
    assert again.odd == "topics.refused"
    assert asked(again) == [A, C]
    assert line.hear(ack(again)).updates == (Subscribed((A, C)), Connected())


def test_a_refusal_that_names_no_topic_is_narrowed_down_by_halves() -> None:
    line = public(A, B, C, D)
    heard = line.hear(ack(line.open(), success=False, ret_msg="args size >1"))
    told: list[object] = []
    while heard.say:
        batch = asked(heard)
        bad = C in batch
        heard = line.hear(ack(heard, success=not bad, ret_msg="args size >1" if bad else ""))
        told += heard.updates
    assert told == [Subscribed((A, B)), Unsubscribed((C,), "args size >1"), Subscribed((D,)), Connected()]


def test_what_is_subscribed_already_is_heard() -> None:
    line = public(A, B)
    again = line.hear(refusal(line.open(), A, "error:already subscribed"))
    assert again.updates == (Subscribed((A,)),)
    assert asked(again) == [B]


def test_a_product_that_lists_its_failures_is_believed() -> None:
    line = public(A, B)
    listed = {"successTopics": [A], "failTopics": [B]}
    heard = line.hear(ack(line.open(), type="COMMAND_RESP", data=listed, op=..., req_id=..., ret_msg=...))
    assert heard.updates == (Subscribed((A,)), Unsubscribed((B,), "the venue lists it as failed"), Connected())


def test_a_line_that_is_refused_everything_is_still_ready() -> None:
    line = public(A)
    heard = line.hear(refusal(line.open(), A))
    assert heard.updates == (Unsubscribed((A,), f"error:handler not found,topic:{A}"), Connected())


def test_a_private_line_shows_its_key_first() -> None:
    line = private("execution", "order")
    assert line.open().say == ("the key",)
    asking = line.hear(b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}')
    assert asked(asking) == ["execution", "order"]
    assert line.hear(ack(asking, req_id=...)).updates == (Subscribed(("execution", "order")), Connected())


def test_topics_of_all_products_and_of_one_never_share_a_request() -> None:
    line = private("order", "execution.linear", "wallet")
    line.open()
    first = line.hear(b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}')
    second = line.hear(ack(first))
    assert [asked(first), asked(second)] == [["order", "wallet"], ["execution.linear"]]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"c"}',
        b'{"retCode":10003,"retMsg":"Invalid apikey","op":"auth","connId":"c"}',
        b'{"success":false,"ret_msg":"no such key","conn_id":"c"}',
    ],
)
def test_a_refused_key_ends_the_connection_as_such(answer: bytes) -> None:
    line = private("order")
    line.open()
    with pytest.raises(Closed) as end:
        line.hear(answer)
    assert end.value.refused


def test_a_wrong_clock_is_no_wrong_key() -> None:
    noted: list[bool] = []
    line = private("order", clock_is_wrong=noted)
    line.open()
    with pytest.raises(Closed) as end:
        line.hear(b'{"success":false,"ret_msg":"request expired","op":"auth","conn_id":"c"}')
    assert not end.value.refused
    assert noted == [True]


def test_a_key_that_the_venue_forgot_is_shown_on_a_new_connection() -> None:
    line = private("order")
    line.open()
    asking = line.hear(b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}')
    with pytest.raises(Closed) as end:
        line.hear(ack(asking, success=False, ret_msg="Request not authorized"))
    assert not end.value.refused


def test_a_lost_answer_is_asked_for_once_more_and_then_it_is_the_end() -> None:
    line = public(A, B)
    first = line.open()
    again = line.overdue()
    assert again is not None
    assert again.say == first.say
    assert line.overdue() is None


def test_a_late_answer_to_what_was_asked_twice_answers_nothing_else() -> None:
    line = public(A, B, args_max=1)
    first = line.open()
    line.overdue()
    second = line.hear(ack(first))
    assert line.hear(ack(first)) == Heard()
    assert not line.ready
    assert line.hear(ack(second)).updates == (Subscribed((B,)), Connected())


def test_without_an_answer_to_the_key_there_is_nothing_to_wait_for() -> None:
    line = private("order")
    line.open()
    assert line.overdue() is None


def test_a_snapshot_is_had_by_leaving_and_asking_again() -> None:
    book = "orderbook.50.SOLUSDT"
    line = public(book, A)
    line.hear(ack(line.open()))
    heard = line.resubscribe(book)
    leave, ask = (json.loads(frame) for frame in heard.say)
    assert (leave["op"], leave["args"]) == ("unsubscribe", [book])
    assert (ask["op"], ask["args"]) == ("subscribe", [book])
    assert line.hear(b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"unsubscribe"}') == Heard()
    assert line.hear(ack(heard)).updates == (Subscribed((book,)),)
    assert line.resubscribe("orderbook.50.XUSDT") == Heard()


def test_a_symbol_that_is_gone_is_told_when_it_is_asked_for_again() -> None:
    line = public(A, B)
    line.hear(ack(line.open()))
    heard = line.hear(refusal(line.resubscribe(A), A))
    assert heard.updates == (Unsubscribed((A,), f"error:handler not found,topic:{A}"),)


def test_pongs_answer_pings_and_events_prove_that_the_venue_lives() -> None:
    line = BybitConversation([topic_of("publicTrade.SOLUSDT", category="linear")], args_max=10)
    line.open()
    assert json.loads(line.ping())["op"] == "ping"
    assert line.hear(recorded("pong_spot")) == Heard(alive=True, pong=True)
    assert line.hear(recorded("pong_private")) == Heard(alive=True, pong=True, sent_at=ms(1760000000302))
    heard = line.hear(recorded("frame_trades"))
    assert (len(heard.updates), heard.alive, heard.sent_at) == (2, True, ms(1760000000201))


@pytest.mark.parametrize(
    "frame, odd",
    [
        (b"junk", "frame.malformed"),
        (b'{"topic":"weather.SOLUSDT","data":[]}', "frame.unknown"),
        (b'{"success":false,"ret_msg":"no","conn_id":"c","op":"unsubscribe"}', "frame.refused"),
        (b'{"success":false,"ret_msg":"no","conn_id":"c","req_id":"s99","op":"subscribe"}', "frame.refused"),
    ],
)
def test_what_should_not_be_said_is_odd_and_no_end(frame: bytes, odd: str) -> None:
    line = public(A)
    line.open()
    heard = line.hear(frame)
    assert (heard.odd, heard.updates, heard.say) == (odd, (), ())


def test_an_item_that_cannot_be_read_is_odd_and_the_others_are_told() -> None:
    line = BybitConversation([topic_of("publicTrade.SOLUSDT", category="linear")], args_max=10)
    heard = line.hear(recorded("frame_trades").replace(b"6f0e2b1c-0000-5000-8000-000000000001", b""))
    assert (len(heard.updates), heard.odd) == (1, "item.malformed")


def test_a_frame_said_twice_is_heard_once_where_nothing_else_tells_its_events_apart() -> None:
    names = ("allLiquidation.SOLUSDT", "tickers.SOLUSDT", "publicTrade.SOLUSDT")
    line = public(*names)
    line.open()
    frame = recorded("frame_liquidations")
    assert len(line.hear(frame).updates) == 2, "twins within a frame are two"
    again = line.hear(frame)
    assert (again.updates, again.alive, again.odd) == ((), True, "frame.repeated")
    later = frame.replace(b'"ts":1760000000500', b'"ts":1760000001000')
    assert len(line.hear(later).updates) == 2
    assert line.hear(recorded("frame_ticker")).updates
    assert not line.hear(recorded("frame_ticker")).updates
    assert [len(line.hear(recorded("frame_trades")).updates) for _ in range(2)] == [2, 2], "these have ids"
