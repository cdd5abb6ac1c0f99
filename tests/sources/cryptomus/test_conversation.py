"""What is said: subscriptions through every kind of answer, pings, and times left out by the venue."""

import json
from datetime import datetime, timedelta

import pytest

from bridge.core.channel import Step
from bridge.sources.base import Connected, Subscribed, Unsubscribed
from bridge.sources.cryptomus.channels import channel_of
from bridge.sources.cryptomus.conversation import SocketConversation
from bridge.sources.cryptomus.stamps import VenueTime, Wallets
from bridge.sources.socket import Heard
from tests.sources.cryptomus.recorded import at, conversation, recorded, told_by

THREE = ("trade:BTC_USDT", "trade:ETH_USDT", "trade:TRX_USDT")


def asked(heard: Heard) -> list[tuple[str, list[str]]]:
    return [(frame["method"], frame["params"]) for frame in map(json.loads, heard.say)]


def newest_id(heard: Heard) -> int:
    return max(int(json.loads(frame)["id"]) for frame in heard.say)


def yes(heard: Heard) -> bytes:
    """The acknowledgement of what was asked last, in its shortest form."""
    return json.dumps({"id": newest_id(heard), "data": {"status": "success"}, "error": None}).encode()


def no(heard: Heard, text: str = "refused") -> bytes:
    error = {"message": text, "code": 2}
    return json.dumps({"id": newest_id(heard), "data": None, "error": error}).encode()


def test_each_kind_is_asked_for_in_one_frame_with_the_complete_list_and_an_id_of_its_own() -> None:
    talk = conversation("trade:BTC_USDT", "lastprice:all", "trade:ETH_USDT")
    first = talk.open()
    assert asked(first) == [("trade_subscribe", ["BTC_USDT", "ETH_USDT"])]
    second = talk.hear(yes(first))
    assert second.updates == (Subscribed(("trade.BTC_USDT", "trade.ETH_USDT")),)
    assert asked(second) == [("lastprice_subscribe", ["all"])]
    last = talk.hear(yes(second))
    assert last.updates == (Subscribed(("lastprice",)), Connected())
    assert talk.ready
    assert len({newest_id(first), newest_id(second), json.loads(talk.ping())["id"]}) == 3


def test_the_tokens_answer_tells_the_venues_time() -> None:
    time = VenueTime(lambda: 0.0, lambda: at(0))
    talk = SocketConversation([channel_of(THREE[0])], time=time, greeted_at=at(5))
    assert talk.open().sent_at == at(5)


def test_an_answer_to_another_request_is_no_acknowledgement() -> None:
    talk = conversation(THREE[0])
    talk.open()
    for frame in (b'{"id":9,"data":{"status":"success"},"error":null}', recorded("pong"), recorded("trade")):
        assert not talk.hear(frame).say
        assert not talk.ready


def test_all_stands_for_the_markets_that_are_named_beside_it() -> None:
    talk = conversation("trade:BTC_USDT", "trade:all")
    first = talk.open()
    assert asked(first) == [("trade_subscribe", ["all"])]
    (heard, _) = talk.hear(yes(first)).updates
    assert isinstance(heard, Subscribed)
    assert set(heard.series) == {"trade", "trade.BTC_USDT"}
    told = told_by(talk.hear(recorded("trade")))
    assert [one.series for one in told] == ["trade.BTC_USDT"] * 3 + ["trade"] * 3


def test_a_refusal_is_halved_until_the_bad_one_stands_alone_and_the_others_are_heard() -> None:
    talk = conversation(*THREE)
    heard = talk.open()
    heard = talk.hear(no(heard))
    assert asked(heard) == [("trade_subscribe", ["BTC_USDT"])]
    heard = talk.hear(yes(heard))
    assert asked(heard) == [
        ("trade_unsubscribe", ["BTC_USDT"]),
        ("trade_subscribe", ["BTC_USDT", "ETH_USDT", "TRX_USDT"]),
    ]
    heard = talk.hear(no(heard))
    assert asked(heard) == [("trade_subscribe", ["BTC_USDT", "ETH_USDT"])]
    heard = talk.hear(yes(heard))
    assert not heard.updates
    heard = talk.hear(no(heard, "gone"))
    assert heard.updates == (Unsubscribed(("trade.TRX_USDT",), "gone (code 2)"),)
    assert heard.odd == "subscription.refused"
    assert asked(heard) == [("trade_subscribe", ["BTC_USDT", "ETH_USDT"])]
    assert talk.hear(yes(heard)).updates == (Subscribed(("trade.BTC_USDT", "trade.ETH_USDT")), Connected())


def test_a_refusal_that_names_the_bad_one_needs_no_search() -> None:
    talk = conversation(*THREE)
    heard = talk.hear(no(talk.open(), "ETH_USDT is unknown"))
    assert heard.updates == (Unsubscribed(("trade.ETH_USDT",), "ETH_USDT is unknown (code 2)"),)
    assert asked(heard) == [("trade_subscribe", ["BTC_USDT", "TRX_USDT"])]


def test_one_kinds_refusal_leaves_the_others_alone() -> None:
    talk = conversation("order:all", "deal:all")
    heard = talk.hear(no(talk.open()))
    assert heard.updates == (Unsubscribed(("order",), "refused (code 2)"),)
    assert asked(heard) == [("deal_subscribe", ["all"])]
    assert talk.hear(yes(heard)).updates == (Subscribed(("deal",)), Connected())


def test_when_all_is_refused_the_named_ones_are_tried() -> None:
    talk = conversation("trade:BTC_USDT", "trade:all")
    heard = talk.hear(no(talk.open()))
    assert heard.updates == (Unsubscribed(("trade",), "refused (code 2)"),)
    assert asked(heard) == [("trade_subscribe", ["BTC_USDT"])]


def test_a_kind_that_is_not_answered_is_given_up_and_a_deaf_connection_too() -> None:
    talk = conversation("order:all", "deal:all")
    talk.open()
    heard = talk.overdue()
    assert heard is not None
    assert heard.updates == (Unsubscribed(("order",), "no acknowledgement"),)
    assert asked(heard) == [("deal_subscribe", ["all"])]
    assert talk.overdue() is None


def test_a_kind_that_was_not_answered_is_asked_for_once_more_behind_the_others() -> None:
    talk = conversation("order:all", "deal:all")
    talk.open()
    heard = talk.overdue()
    assert heard is not None
    again = talk.hear(yes(heard))
    assert asked(again) == [("order_unsubscribe", ["all"]), ("order_subscribe", ["all"])]
    assert talk.hear(yes(again)).updates == (Subscribed(("order",)), Connected())


def test_a_kind_that_is_never_answered_is_asked_for_twice_and_no_more() -> None:
    talk = conversation("order:all", "deal:all")
    talk.open()
    heard = talk.overdue()
    assert heard is not None
    talk.hear(yes(heard))
    last = talk.overdue()
    assert last is not None
    assert (last.say, last.updates[-1]) == ((), Connected())


@pytest.mark.parametrize("wanted", range(1, 9))
@pytest.mark.parametrize("bad", [set(), {0}, {1, 2}, {0, 3, 7}, set(range(9))])
def test_whatever_is_refused_the_rest_is_heard_and_everything_is_answered_for(wanted: int, bad: set[int]) -> None:
    talk = conversation(*(f"trade:M{number}_X" for number in range(wanted)))
    heard, standing = talk.open(), set[str]()
    settled: list[str] = []
    for _ in range(60):
        settled += [
            name
            for update in heard.updates
            if isinstance(update, Subscribed | Unsubscribed)
            for name in update.series
        ]
        if talk.ready:
            break
        for method, params in asked(heard):
            if method == "trade_unsubscribe":
                standing -= set(params)
        params = asked(heard)[-1][1]
        refused = any(int(market[1:-2]) in bad for market in params) or bool(standing)
        standing = standing if refused else set(params)
        heard = talk.hear(no(heard) if refused else yes(heard))
    assert standing == {f"M{number}_X" for number in range(wanted) if number not in bad}
    assert sorted(settled) == [f"trade.M{number}_X" for number in range(wanted)]


def test_a_book_is_asked_for_anew_with_the_complete_list() -> None:
    talk = conversation("depth:ETH_USDT:1", "depth:BTC_USDT:0")
    talk.hear(yes(talk.open()))
    heard = talk.resubscribe("depth.ETH_USDT.1")
    both = ["ETH_USDT:1", "BTC_USDT:0"]
    assert asked(heard) == [("depth_unsubscribe", both), ("depth_subscribe", both)]
    assert talk.hear(no(heard)).updates == (
        Unsubscribed(("depth.ETH_USDT.1", "depth.BTC_USDT.0"), "refused (code 2)"),
    )
    assert not talk.hear(yes(talk.resubscribe("depth.ETH_USDT.1"))).updates
    assert talk.resubscribe("trade") == Heard()


def test_a_books_change_that_is_told_twice_in_a_row_is_told_once() -> None:
    talk = conversation("depth:ETH_USDT:1")
    whole, change = recorded("depth_full"), recorded("depth_change")
    frames = [whole, whole, change, change, whole, change]
    assert [len(told_by(talk.hear(frame))) for frame in frames] == [1, 1, 1, 0, 1, 1]


def test_a_pong_answers_a_ping_and_what_was_not_asked_for_is_odd() -> None:
    talk = conversation("trade:BTC_USDT")
    assert talk.hear(recorded("pong")) == Heard(alive=True, pong=True)
    assert talk.hear(recorded("balance")).odd == "frame.unwanted"
    assert talk.hear(b'{"id":0,"method":"news_update","data":1}').odd == "frame.unknown"
    assert talk.hear(recorded("refused")).odd == "frame.refused"


def test_a_frames_newest_stamp_is_the_venues_time() -> None:
    assert conversation().hear(recorded("trade")).sent_at == at(14)
    assert conversation().hear(recorded("balance")).sent_at is None


def balance(before: str, after: str) -> bytes:
    frame = json.loads(recorded("balance"))
    frame["data"]["info"] |= {"oldBalance": before, "newBalance": after}
    return json.dumps(frame).encode()


def test_a_change_of_a_balance_bears_the_venues_time_of_its_hearing() -> None:
    now = [0.0]
    time = VenueTime(lambda: now[0], lambda: at(-500))
    talk = SocketConversation([channel_of("balance:all"), channel_of("order:all")], time=time)
    (first,) = told_by(talk.hear(balance("1", "2")))
    assert first.event.occurred_at == at(-500)
    talk.hear(recorded("order_created"))
    now[0] = 2.5004
    (second,) = told_by(talk.hear(balance("2", "1.0")))
    assert second.event.occurred_at == at(17.5)
    assert second.step == Step(second.step.key if second.step else "", "2", "1")
    assert second.event.event_id.endswith(":2:1#20251009T085337.500000")


def placed(*steps: tuple[str, str, float]) -> list[datetime]:
    wallets = Wallets(2.0)
    return [wallets.place(Step("w", before, after), at(seconds)) for before, after, seconds in steps]


def test_a_change_told_again_keeps_its_time_and_one_that_happens_again_does_not() -> None:
    again = placed(("40", "50", 0), ("40", "50", 0.5))
    assert again[0] == again[1]
    late = placed(("40", "50", 0), ("50", "60", 0.5), ("40", "50", 1))
    assert late[2] == late[0]
    anew = placed(("40", "50", 0), ("50", "40", 0.5), ("40", "50", 1))
    assert anew == sorted(set(anew))
    assert len(set(placed(("40", "50", 0), ("40", "50", 2.5)))) == 2


def test_changes_told_in_the_wrong_order_stand_in_the_right_one() -> None:
    first, third, second = placed(("1", "2", 0), ("3", "4", 1), ("2", "3", 1.5))
    assert first < second < third
    assert third - second == timedelta(milliseconds=1)


def test_changes_of_one_moment_keep_their_order() -> None:
    times = placed(("1", "2", 0), ("2", "3", 0), ("3", "1", 0))
    assert times == sorted(set(times))
