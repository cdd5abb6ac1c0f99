"""What is said to the venue, and what follows from each shape of its answers."""

import json
from collections.abc import Iterable

import pytest

from bridge.core.channel import Told
from bridge.sources.base import Connected, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.poloniex_v3.asks import Ask, Asks
from bridge.sources.poloniex_v3.conversation import JUMPED, Manners, SocketConversation
from bridge.sources.poloniex_v3.jumps import Jumps
from bridge.sources.socket import Heard
from tests.sources.poloniex_v3.recorded import FRAMES, SYMBOL, TOPICS, ms, recorded

OTHER = "ETH_USDT_PERP"
TRADES = f"trades.{SYMBOL}"
PUBLIC = (f"book_lv2:{SYMBOL}", f"trades:{SYMBOL}", f"trades:{OTHER}")


def asked(heard: Heard) -> list[tuple[str, list[str], list[str]]]:
    frames = [json.loads(frame) for frame in heard.say]
    return [(frame["event"], frame["channel"], frame["symbols"]) for frame in frames]


def acknowledgement(word: str, *symbols: str) -> bytes:
    frame: dict[str, object] = {"event": "subscribe", "channel": word}
    return json.dumps(frame | ({"symbols": list(symbols)} if symbols else {})).encode()


def ready(*topics: str, jumps: Jumps | None = None) -> SocketConversation:
    conversation = SocketConversation(topics, jumps=jumps)
    conversation.open()
    for word, symbols in ((ask.word, ask.symbols) for ask in Asks.of(topic_pairs(topics)).waiting):
        conversation.hear(acknowledgement(word, *symbols))
    assert conversation.ready
    return conversation


def topic_pairs(topics: Iterable[str]) -> list[tuple[str, str]]:
    return [(topic.partition(":")[0], topic.partition(":")[2]) for topic in topics]


def trades(*numbers: int, sent_ms: int = 1760000000512) -> bytes:
    rows = [{"id": number, "ts": sent_ms, "s": SYMBOL, "cT": sent_ms - 5} for number in numbers]
    return json.dumps({"channel": "trades", "data": rows}).encode()


def test_each_channel_is_asked_for_when_the_one_before_it_was_answered() -> None:
    conversation = SocketConversation(PUBLIC)
    assert asked(conversation.open()) == [("subscribe", ["book_lv2"], [SYMBOL])]
    heard = conversation.hear(acknowledgement("book_lv2", SYMBOL))
    assert heard.updates == (Subscribed((f"book_lv2.{SYMBOL}",)),)
    assert asked(heard) == [("subscribe", ["trades"], [SYMBOL, OTHER])]
    assert not conversation.ready
    heard = conversation.hear(acknowledgement("trades", SYMBOL, OTHER))
    assert heard.updates == (Subscribed((TRADES, f"trades.{OTHER}")), Connected())
    assert conversation.ready


def test_an_acknowledgement_without_symbols_is_for_all_that_were_asked_for() -> None:
    conversation = SocketConversation(["orders", "trade"])
    assert asked(conversation.open()) == [("subscribe", ["orders"], ["all"])]
    heard = conversation.hear(recorded("ack_bare"))
    assert heard.updates == (Subscribed(("orders",)),)
    assert asked(heard) == [("subscribe", ["trade"], ["all"])]
    assert conversation.hear(acknowledgement("trade", "all")).updates == (Subscribed(("trade",)), Connected())


def test_what_a_partial_acknowledgement_leaves_out_is_asked_for_alone() -> None:
    conversation = SocketConversation(PUBLIC[1:])
    conversation.open()
    heard = conversation.hear(acknowledgement("trades", SYMBOL))
    assert heard.updates == (Subscribed((TRADES,)),)
    assert asked(heard) == [("subscribe", ["trades"], [OTHER])]
    heard = conversation.hear(recorded("error"))
    assert heard.updates == (Unsubscribed((f"trades.{OTHER}",), "no valid symbols"), Connected())


def test_a_refusal_of_many_is_found_out_one_by_one() -> None:
    conversation = SocketConversation([*PUBLIC[1:], f"tickers:{SYMBOL}"])
    conversation.open()
    heard = conversation.hear(recorded("error"))
    assert heard.updates == ()
    assert asked(heard) == [("subscribe", ["trades"], [SYMBOL])]
    heard = conversation.hear(acknowledgement("trades", SYMBOL))
    assert asked(heard) == [("subscribe", ["trades"], [OTHER])]
    heard = conversation.hear(recorded("error"))
    assert heard.updates == (Unsubscribed((f"trades.{OTHER}",), "no valid symbols"),)
    assert asked(heard) == [("subscribe", ["tickers"], [SYMBOL])]


def test_a_channel_that_nobody_answers_for_is_given_up_and_taken_back_when_it_is_acknowledged_late() -> None:
    conversation = SocketConversation([f"tickers:{SYMBOL}", *PUBLIC[1:]])
    conversation.open()
    heard = conversation.overdue()
    assert heard is not None
    assert heard.updates == (Unsubscribed((f"tickers.{SYMBOL}",), "no acknowledgement"),)
    assert heard.odd == "channels.unanswered"
    assert asked(heard) == [("subscribe", ["trades"], [SYMBOL, OTHER])]
    late = conversation.hear(acknowledgement("tickers", SYMBOL))
    assert late.updates == (Subscribed((f"tickers.{SYMBOL}",)),)
    assert late.say == ()
    assert not conversation.ready
    assert conversation.hear(acknowledgement("trades", SYMBOL, OTHER)).updates[-1] == Connected()


def test_a_channel_that_nobody_answered_for_is_asked_for_once_more_behind_the_others() -> None:
    conversation = SocketConversation([f"tickers:{SYMBOL}", f"trades:{SYMBOL}"])
    conversation.open()
    conversation.overdue()
    again = conversation.hear(acknowledgement("trades", SYMBOL))
    assert asked(again) == [("subscribe", ["tickers"], [SYMBOL])]
    heard = conversation.hear(acknowledgement("tickers", SYMBOL))
    assert heard.updates == (Subscribed((f"tickers.{SYMBOL}",)), Connected())


def test_a_channel_that_nobody_ever_answers_for_is_asked_for_twice_and_no_more() -> None:
    conversation = SocketConversation([f"tickers:{SYMBOL}", f"trades:{SYMBOL}"])
    conversation.open()
    conversation.overdue()
    conversation.hear(acknowledgement("trades", SYMBOL))
    heard = conversation.overdue()
    assert heard is not None
    assert (heard.say, heard.updates[-1]) == ((), Connected())


def test_a_connection_on_which_nothing_is_answered_is_left() -> None:
    conversation = SocketConversation([f"tickers:{SYMBOL}", f"trades:{SYMBOL}"])
    conversation.open()
    assert conversation.overdue() is not None
    assert conversation.overdue() is None


def test_batches_are_no_larger_than_allowed() -> None:
    asks = Asks.of([("trades", f"S{number}_X") for number in range(7)], symbols_max=3)
    assert [len(ask.symbols) for ask in asks.waiting] == [3, 3, 1]


def test_a_depth_is_asked_for_books_alone() -> None:
    conversation = SocketConversation([f"book:{SYMBOL}", f"trades:{SYMBOL}"], Manners(book_depth=10))
    assert json.loads(conversation.open().say[0])["depth"] == 10
    assert "depth" not in json.loads(conversation.hear(acknowledgement("book", SYMBOL)).say[0])


def test_a_snapshot_is_asked_for_by_leaving_and_coming_back() -> None:
    conversation = ready(*PUBLIC)
    assert asked(conversation.resubscribe(f"book_lv2.{SYMBOL}")) == [
        ("unsubscribe", ["book_lv2"], [SYMBOL]),
        ("subscribe", ["book_lv2"], [SYMBOL]),
    ]
    assert conversation.hear(acknowledgement("book_lv2", SYMBOL)).updates == ()
    assert conversation.resubscribe("unheard.of").say == ()


def test_a_refusal_when_nothing_is_asked_is_odd_and_blamed_on_nobody() -> None:
    heard = ready(*PUBLIC).hear(recorded("error"))
    assert (heard.odd, heard.updates) == ("frame.refused", ())


def test_a_pong_answers_the_ping() -> None:
    conversation = ready(*PUBLIC)
    assert conversation.ping() == '{"event":"ping"}'
    heard = conversation.hear(recorded("pong"))
    assert (heard.pong, heard.alive) == (True, True)


@pytest.mark.parametrize("frame, expected", [frame for frame in FRAMES if frame[1]])
def test_every_recorded_event_is_told_in_its_series(frame: bytes, expected: list[tuple[str, str, object]]) -> None:
    heard = ready(*TOPICS).hear(frame)
    told = [update for update in heard.updates if isinstance(update, Told)]
    assert [(one.series, one.event.event_id, one.event.occurred_at) for one in told] == expected
    assert heard.alive
    assert heard.sent_at is not None
    assert heard.odd is None


def test_a_frame_proves_the_venues_time_by_the_newest_push_in_it() -> None:
    assert ready(*PUBLIC).hear(recorded("trades")).sent_at == ms(512)


def test_rows_of_a_channel_that_is_asked_for_all_symbols_are_told_under_it() -> None:
    heard = ready("tickers:all").hear(recorded("tickers"))
    assert [update.series for update in heard.updates if isinstance(update, Told)] == ["tickers.all"]


def test_rows_that_nobody_asked_for_are_odd_and_not_told() -> None:
    heard = ready(f"trades:{OTHER}").hear(recorded("trades"))
    assert (heard.odd, heard.updates) == ("frame.unwanted", ())


@pytest.mark.parametrize("junk, odd", [(b"\xff", "frame.malformed"), (b'{"channel":"weather"}', "frame.unknown")])
def test_junk_is_odd_and_never_an_end(junk: bytes, odd: str) -> None:
    assert ready(*PUBLIC).hear(junk).odd == odd


def kinds(updates: Iterable[LiveUpdate]) -> list[str]:
    return [type(update).__name__ for update in updates]


def test_a_jump_of_the_trades_ids_makes_the_time_before_it_unheard() -> None:
    conversation = ready(f"trades:{SYMBOL}", jumps=Jumps())
    assert kinds(conversation.hear(trades(5)).updates) == ["Told"]
    assert kinds(conversation.hear(trades(7, 6)).updates) == ["Told", "Told"]
    heard = conversation.hear(trades(9))
    assert heard.updates[:2] == (Unsubscribed((TRADES,), JUMPED), Subscribed((TRADES,)))
    assert kinds(heard.updates[2:]) == ["Told"]
    assert heard.odd == "trades.jump"


def test_a_repetition_is_no_jump_and_without_suspicion_nothing_is() -> None:
    conversation = ready(f"trades:{SYMBOL}", jumps=Jumps())
    conversation.hear(trades(5))
    assert kinds(conversation.hear(trades(5)).updates) == ["Told"]
    assert kinds(conversation.hear(trades(3)).updates) == ["Told"]
    trusting = ready(f"trades:{SYMBOL}")
    trusting.hear(trades(5))
    assert kinds(trusting.hear(trades(9)).updates) == ["Told"]


def test_jumps_are_suspected_once_in_a_while_and_never_where_the_list_jumps_too() -> None:
    jumps = Jumps(every_ms=5_000)
    assert jumps.suspicious(TRADES, 5, [7], 1_000)
    assert not jumps.suspicious(TRADES, 7, [9], 5_999)
    assert jumps.suspicious(TRADES, 9, [10], 6_000), "the jump that came too soon"
    assert not jumps.suspicious(TRADES, 10, [11], 12_000)
    jumps.listed(TRADES, [3, 1, 2])
    assert jumps.suspicious(TRADES, 11, [13], 20_000)
    jumps.listed(TRADES, [13, 11, 9])
    assert not jumps.suspicious(TRADES, 13, [15], 40_000)


def test_an_ask_for_a_whole_account_has_one_series() -> None:
    assert Ask("orders", ()).pairs() == (("orders", ""),)
