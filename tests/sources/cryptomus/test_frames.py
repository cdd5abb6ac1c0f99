"""One frame, taken apart: every recorded one, and everything that is none."""

import json

import pytest

from bridge.core.channel import Link, Step
from bridge.sources.base import Malformed
from bridge.sources.cryptomus.frames import Answered, Pong, Refused, Unknown, Update, read_frame
from tests.sources.cryptomus.recorded import FRAMES, WALLET, conversation, recorded


def test_the_payload_is_the_venues_own_text() -> None:
    update = read_frame(recorded("trade"))
    assert isinstance(update, Update)
    assert update.events[2].payload == (b'{"price":1215e2,"quantity":2,"timestamp":1760000013,"direction":"sell"}')
    book = read_frame(recorded("depth_full"))
    assert isinstance(book, Update)
    assert book.events[0].payload == recorded("depth_full")
    order = read_frame(recorded("order_created"))
    assert isinstance(order, Update)
    assert json.loads(order.events[0].payload)["type"] == "created"


def test_a_book_says_whether_it_is_whole_and_a_balance_what_it_steps_from() -> None:
    whole, change, step = (read_frame(recorded(name)) for name in ("depth_full", "depth_change", "balance"))
    assert isinstance(whole, Update)
    assert whole.link == Link(None, snapshot=True)
    assert isinstance(change, Update)
    assert change.link == Link(None)
    assert isinstance(step, Update)
    assert step.step == Step(WALLET, "120", "112.5")


def test_the_ids_of_an_orders_states_sort_as_the_states_follow_each_other() -> None:
    ids = [told[0][1] for frame, told in FRAMES if b"order_update" in frame]
    more = json.loads(recorded("order_updated"))
    more["data"]["info"]["filledQuantity"] = "100.5"
    update = read_frame(json.dumps(more).encode())
    assert isinstance(update, Update)
    in_order = [*ids[:2], update.events[0].event_id, ids[2]]
    assert sorted(in_order) == in_order
    assert len(set(in_order)) == 4


def test_answers_are_known_by_their_id_alone() -> None:
    assert read_frame(recorded("acknowledged")) == Answered(1)
    assert read_frame(recorded("acknowledged_bare")) == Answered(1)
    assert read_frame(b'{"id":"7","data":{"status":"success"},"error":null}') == Answered(7)
    assert read_frame(recorded("refused")) == Refused(1, "Unknown market (code 2)")
    assert read_frame(b'{"id":null,"data":null,"error":{"code":1,"message":"no\\u0007\\u00e9"}}') == Refused(
        None, "no?? (code 1)"
    )
    assert read_frame(b'{"id":3,"data":null,"error":"off"}') == Refused(3, "refused")
    assert read_frame(recorded("pong")) == Pong()
    assert read_frame(b'{"id":0,"method":"candles_update","data":[]}') == Unknown("candles_update")
    assert read_frame(b'{"id":0,"method":"candles_request","data":[]}') == Unknown("candles_request")


def changed(name: str, **changes: object) -> bytes:
    """A recorded frame with other members somewhere inside ``data``; ``...`` takes one away."""

    def put(value: object) -> object:
        if isinstance(value, list):
            return [put(item) for item in value]
        if not isinstance(value, dict):
            return value
        merged = {key: changes.get(key, put(item)) for key, item in value.items()}
        return {key: item for key, item in merged.items() if item is not ...}

    frame = json.loads(recorded(name))
    return json.dumps(frame | {"data": put(frame["data"])}).encode()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"method":5}',
        b'{"id":1}',
        b'{"id":true,"data":{"status":"success"}}',
        b'{"id":0,"method":"trade_update","data":null}',
        b'{"id":0,"method":"trade_update","data":"\xff"}',
        b'{"id":0,"method":"order_update","data":' + b"[" * 200 + b"]" * 200 + b"}",
        b"[" * 100_000,
        b'{"data":' * 50_000,
        changed("trade", price="NaN"),
        changed("trade", price="1e999999"),
        changed("trade", quantity=None),
        changed("trade", timestamp=1_760_000_000_000),
        changed("trade", timestamp=...),
        changed("trade", direction="b\0uy"),
        changed("trade", direction=""),
        changed("trade", symbol="BTC USDT"),
        changed("depth_full", full_reload="yes"),
        changed("order_created", id="x" * 200),
        changed("order_created", filledQuantity=...),
        changed("deal", transactionId=7),
        changed("deal", committedAt="1760000016"),
        changed("balance", newBalance="Infinity"),
        changed("lastprice", timestamp=-1),
    ],
)
def test_what_is_no_frame_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        read_frame(frame)
    assert conversation().hear(frame).odd == "frame.malformed"
