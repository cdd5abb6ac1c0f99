"""What is answered to what is heard on one connection: welcomes, acknowledgements, refusals, tunnels, pongs."""

import json
from datetime import UTC, datetime

from bridge.core.channel import Channel
from bridge.sources.base import Connected, Subscribed, Unsubscribed
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.conversation import JUMPED, UNACKNOWLEDGED, Manners, SocketConversation
from bridge.sources.poloniex_v1.suspicion import Suspicion
from bridge.sources.socket import Heard
from tests.sources.poloniex_v1.recorded import CONNECT_ID, SYMBOL, recorded, us

BOOKS = ("/contractMarket/level2:AUSDTPERP", "/contractMarket/level2:BUSDTPERP")
TRADES = f"/contractMarket/execution:{SYMBOL}"
WELCOME = recorded("welcome")


def talk(*topics: str, manners: Manners | None = None, told_at: datetime | None = None) -> SocketConversation:
    channels: tuple[Channel, ...] = channels_of(topics)
    return SocketConversation(
        channels, connect_id=CONNECT_ID, manners=manners, told_at=told_at, suspicion=Suspicion()
    )


def request(heard: Heard) -> dict[str, object]:
    (frame,) = heard.say
    asked = json.loads(frame)
    assert isinstance(asked, dict)
    return asked


def ack(number: object) -> bytes:
    return json.dumps({"id": number, "type": "ack"}).encode()


def refusal(number: object, text: str = "topic is not found") -> bytes:
    return json.dumps({"id": number, "type": "error", "code": 404, "data": text}).encode()


def trade(number: int, at_s: int = 0) -> bytes:
    frame = json.loads(recorded("execution"))
    frame["data"] |= {"sequence": number, "tradeId": f"t{number}", "ts": (1760000000 + at_s) * 10**9}
    return json.dumps(frame).encode()


def test_nothing_is_said_before_the_welcome() -> None:
    conversation = talk(TRADES)
    assert conversation.open() == Heard()
    assert conversation.overdue() is None
    assert request(conversation.hear(WELCOME)) == {
        "id": "1",
        "type": "subscribe",
        "topic": TRADES,
        "privateChannel": False,
        "response": True,
    }
    assert not conversation.ready
    assert conversation.hear(WELCOME) == Heard()


def test_the_welcome_proves_the_time_at_which_the_token_was_given() -> None:
    at = datetime(2026, 2, 18, tzinfo=UTC)
    assert talk(TRADES, told_at=at).hear(WELCOME).sent_at == at


def test_topics_of_one_path_share_a_request_and_an_acknowledgement() -> None:
    conversation = talk(*BOOKS, TRADES)
    asked = request(conversation.hear(WELCOME))
    assert asked["topic"] == "/contractMarket/level2:AUSDTPERP,BUSDTPERP"
    first = conversation.hear(ack("1"))
    assert first.updates == (Subscribed(("level2.AUSDTPERP", "level2.BUSDTPERP")),)
    assert request(first)["id"] == "2"
    last = conversation.hear(ack(2))  # as a number, too
    assert last.updates == (Subscribed((f"execution.{SYMBOL}",)), Connected())
    assert conversation.ready


def test_a_batch_is_no_larger_than_it_may_be() -> None:
    conversation = talk(*BOOKS, manners=Manners(batch_topics_max=1))
    assert request(conversation.hear(WELCOME))["topic"] == BOOKS[0]
    assert request(conversation.hear(ack("1")))["topic"] == BOOKS[1]


def test_a_private_topic_is_asked_for_as_one_and_stands_alone() -> None:
    conversation = talk("/contractMarket/tradeOrders", f"/contractMarket/tradeOrders:{SYMBOL}")
    first, second = request(conversation.hear(WELCOME)), request(conversation.hear(ack("1")))
    assert (first["topic"], first["privateChannel"]) == ("/contractMarket/tradeOrders", True)
    assert second["topic"] == f"/contractMarket/tradeOrders:{SYMBOL}"


def test_a_refused_batch_is_taken_apart_and_only_the_bad_topic_is_given_up() -> None:
    conversation = talk(*BOOKS)
    conversation.hear(WELCOME)
    again = conversation.hear(refusal("1"))
    assert again.updates == ()
    assert request(again)["topic"] == BOOKS[0]
    bad = conversation.hear(refusal("2"))
    assert bad.updates == (Unsubscribed(("level2.AUSDTPERP",), "code 404: topic is not found"),)
    assert bad.odd == "topics.refused"
    assert request(bad)["topic"] == BOOKS[1]
    assert conversation.hear(ack("3")).updates == (Subscribed(("level2.BUSDTPERP",)), Connected())


def test_an_error_with_the_connections_id_means_what_was_asked_last() -> None:
    conversation = talk(TRADES)
    conversation.hear(WELCOME)
    heard = conversation.hear(refusal(CONNECT_ID))
    assert heard.updates[0] == Unsubscribed((f"execution.{SYMBOL}",), "code 404: topic is not found")


def test_an_error_that_answers_nothing_is_odd_and_ends_nothing() -> None:
    conversation = talk(TRADES)
    assert conversation.hear(refusal(CONNECT_ID, "token is invalid")).odd == "frame.refused"
    conversation.hear(WELCOME)
    assert conversation.hear(refusal("77")).odd == "frame.refused"
    assert conversation.hear(ack("1")).updates[-1] == Connected()


def test_what_is_never_acknowledged_is_given_up_until_it_is_after_all() -> None:
    conversation = talk(BOOKS[0], TRADES)
    conversation.hear(WELCOME)
    given_up = conversation.overdue()
    assert given_up is not None
    assert given_up.updates == (Unsubscribed(("level2.AUSDTPERP",), UNACKNOWLEDGED),)
    assert request(given_up)["topic"] == TRADES
    conversation.hear(ack("2"))
    assert conversation.hear(ack("1")).updates == (Subscribed(("level2.AUSDTPERP",)), Connected())
    assert conversation.hear(ack("3")).updates == ()


def test_what_was_not_acknowledged_is_asked_for_once_more_behind_the_others() -> None:
    conversation = talk(BOOKS[0], TRADES)
    conversation.hear(WELCOME)
    conversation.overdue()
    again = conversation.hear(ack("2"))
    assert (request(again)["id"], request(again)["topic"]) == ("3", BOOKS[0])
    assert conversation.hear(ack("3")).updates == (Subscribed(("level2.AUSDTPERP",)), Connected())


def test_what_is_never_acknowledged_is_asked_for_twice_and_no_more() -> None:
    conversation = talk(BOOKS[0], TRADES)
    conversation.hear(WELCOME)
    conversation.overdue()
    conversation.hear(ack("2"))
    assert conversation.overdue() is not None
    assert conversation.ready
    assert conversation.overdue() is None


def test_a_connection_on_which_nothing_is_acknowledged_is_given_up() -> None:
    conversation = talk(TRADES)
    conversation.hear(WELCOME)
    assert conversation.overdue() is None


def test_topics_are_spread_over_tunnels_that_are_opened_first() -> None:
    conversation = talk(*BOOKS, manners=Manners(tunnels=2))
    assert request(conversation.hear(WELCOME)) == {
        "id": "1",
        "type": "openTunnel",
        "newTunnelId": "bt1",
        "response": True,
    }
    assert request(conversation.hear(ack("1")))["newTunnelId"] == "bt2"
    first, second = request(conversation.hear(ack("2"))), request(conversation.hear(ack("3")))
    assert (first["topic"], first["tunnelId"]) == (BOOKS[0], "bt1")
    assert (second["topic"], second["tunnelId"]) == (BOOKS[1], "bt2")


def test_topics_of_a_tunnel_that_is_not_opened_go_without_it() -> None:
    conversation = talk(TRADES, manners=Manners(tunnels=1))
    conversation.hear(WELCOME)
    refused = conversation.hear(refusal(CONNECT_ID, "tunnels are for API users"))
    assert refused.odd == "tunnel.refused"
    assert "tunnelId" not in request(refused)


def test_a_pong_answers_a_ping_of_ours_once() -> None:
    conversation = talk(TRADES)
    sent = json.loads(conversation.ping())
    assert sent["type"] == "ping"
    pong = json.dumps({"id": sent["id"], "type": "pong"}).encode()
    assert conversation.hear(pong) == Heard(alive=True, pong=True)
    assert conversation.hear(pong) == Heard(alive=True, pong=False)
    assert conversation.hear(b'{"type":"pong"}') == Heard(alive=True, pong=False)


def test_every_request_has_an_id_of_its_own() -> None:
    conversation = talk(*BOOKS, TRADES)
    said = [conversation.hear(WELCOME).say, conversation.hear(ack("1")).say]
    ids = [json.loads(frame)["id"] for frames in said for frame in frames]
    ids += [json.loads(conversation.ping())["id"] for _ in range(3)]
    assert len(set(ids)) == len(ids)


def test_an_event_is_passed_on_with_its_time_as_proof() -> None:
    heard = talk(TRADES).hear(recorded("execution"))
    assert len(heard.updates) == 1
    assert heard.sent_at == us(600_000)
    assert heard.alive


def test_junk_and_notices_are_odd_and_survived() -> None:
    conversation = talk(TRADES)
    assert conversation.hear(b"\xff\xfe").odd == "frame.malformed"
    assert conversation.hear(recorded("notice")).odd == "frame.notice"
    assert conversation.hear(recorded("level2")).odd == "frame.other_topic"


def test_a_jump_of_the_executions_numbers_makes_the_list_be_asked() -> None:
    conversation = talk(TRADES)
    series = (f"execution.{SYMBOL}",)
    assert len(conversation.hear(trade(1)).updates) == 1
    assert len(conversation.hear(trade(2)).updates) == 1
    _, *after = conversation.hear(trade(4, 1)).updates
    assert after == [Unsubscribed(series, JUMPED), Subscribed(series)]
    assert len(conversation.hear(trade(3, 1)).updates) == 1  # late, not missing
    assert len(conversation.hear(trade(6, 2)).updates) == 1  # one look answers for a while
    assert len(conversation.hear(trade(9, 7)).updates) == 3


def test_numbers_that_jump_in_the_venues_own_list_are_not_suspected() -> None:
    suspicion = Suspicion()
    suspicion.listed("execution.A", [5, 3, 9])
    assert not suspicion.roused("execution.A", 9, 20, us(0))
    suspicion.listed("execution.B", [5, 3, 4])
    assert suspicion.roused("execution.B", 9, 20, us(0))


def test_a_partial_change_that_is_said_twice_is_heard_once() -> None:
    conversation = talk(f"/contract/position:{SYMBOL}")
    first, again = conversation.hear(recorded("position")), conversation.hear(recorded("position"))
    assert (len(first.updates), len(again.updates)) == (1, 0)
    assert again.alive
    other = recorded("position").replace(b'"currentQty":4', b'"currentQty":5')
    assert len(conversation.hear(other).updates) == 1
