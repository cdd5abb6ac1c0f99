"""Every adapter over its own recorded frames: what all of them promise, whatever the venue says."""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.channel import Channel, Model, Repair, Told
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.bybit import channels as bybit_channels
from bridge.sources.bybit.conversation import BybitConversation
from bridge.sources.bybit.frames import FrameReader as BybitReader
from bridge.sources.cryptomus import channels as cryptomus_channels
from bridge.sources.cryptomus.frames import read_frame as read_cryptomus
from bridge.sources.playbatman.conversation import SocketConversation as PlayBatmanConversation
from bridge.sources.playbatman.frames import read_frame as read_playbatman
from bridge.sources.poloniex_v1 import channels as poloniex_v1_channels
from bridge.sources.poloniex_v1.conversation import SocketConversation as PoloniexV1Conversation
from bridge.sources.poloniex_v1.frames import FrameReader as PoloniexV1Reader
from bridge.sources.poloniex_v3 import channels as poloniex_v3_channels
from bridge.sources.poloniex_v3.conversation import SocketConversation as PoloniexV3Conversation
from bridge.sources.poloniex_v3.frames import read_frame as read_poloniex_v3
from bridge.sources.socket import Conversation, Heard
from bridge.sources.wire import Closed
from tests.sources.bybit import recorded as bybit
from tests.sources.cryptomus import recorded as cryptomus
from tests.sources.playbatman import recorded as playbatman
from tests.sources.poloniex_v1 import recorded as poloniex_v1
from tests.sources.poloniex_v3 import recorded as poloniex_v3

SERIES = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
WITHOUT_SERIES = "events"
Expected = tuple[str, str, datetime]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A venue as this file sees it. ``reader`` makes a fresh pure reader, ``conversation`` a fresh connection."""

    folder: Path
    frames: list[tuple[bytes, list[Expected]]]
    channels: tuple[Channel, ...]
    reader: Callable[[], Callable[[bytes], object]]
    conversation: Callable[[], Conversation]


_BYBIT = [bybit_channels.topic_of(topic, category="linear") for topic in bybit.TOPICS]
_POLONIEX_V1 = poloniex_v1_channels.channels_of(poloniex_v1.TOPICS)
ADAPTERS = {
    "playbatman": Adapter(
        folder=playbatman.FOLDER,
        frames=playbatman.FRAMES,
        channels=(),
        reader=lambda: read_playbatman,
        conversation=lambda: PlayBatmanConversation([playbatman.MARKET]),
    ),
    "bybit": Adapter(
        folder=bybit.FOLDER,
        frames=[*bybit.FRAMES, *((bybit.recorded(name), []) for name in bybit.PONGS)],
        channels=tuple(bybit_channels.channel_of(topic, category="linear") for topic in bybit.TOPICS),
        reader=lambda: BybitReader(_BYBIT).read,
        conversation=lambda: BybitConversation(_BYBIT, args_max=10),
    ),
    "cryptomus": Adapter(
        folder=cryptomus.FOLDER,
        frames=cryptomus.FRAMES,
        channels=tuple(cryptomus_channels.channel_of(topic) for topic in cryptomus.TOPICS),
        reader=lambda: read_cryptomus,
        conversation=cryptomus.conversation,
    ),
    "poloniex_v1": Adapter(
        folder=poloniex_v1.FOLDER,
        frames=poloniex_v1.FRAMES,
        channels=tuple(_POLONIEX_V1),
        reader=lambda: PoloniexV1Reader(_POLONIEX_V1).read,
        conversation=lambda: PoloniexV1Conversation(_POLONIEX_V1, connect_id=poloniex_v1.CONNECT_ID),
    ),
    "poloniex_v3": Adapter(
        folder=poloniex_v3.FOLDER,
        frames=poloniex_v3.FRAMES,
        channels=tuple(poloniex_v3_channels.channel_of(topic) for topic in poloniex_v3.TOPICS),
        reader=lambda: read_poloniex_v3,
        conversation=lambda: PoloniexV3Conversation(poloniex_v3.TOPICS),
    ),
}
every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
every_channel = pytest.mark.parametrize(
    "channel", [pytest.param(c, id=f"{name}.{c.series}") for name, a in ADAPTERS.items() for c in a.channels]
)


def told(heard: Heard) -> list[Told]:
    """What is told; an event of a venue that numbers its own is of one series."""
    found = [Told(WITHOUT_SERIES, one) if type(one) is Event else one for one in heard.updates]
    return [one for one in found if isinstance(one, Told)]


def heard_in(conversation: Conversation, adapter: Adapter) -> list[list[Told]]:
    return [told(conversation.hear(frame)) for frame, _ in adapter.frames]


@every_adapter
def test_each_frame_tells_the_events_that_were_recorded_in_every_connection_alike(adapter: Adapter) -> None:
    once, again = (heard_in(adapter.conversation(), adapter) for _ in range(2))
    assert once == again
    said = [[(one.series, one.event.event_id, one.event.occurred_at) for one in events] for events in once]
    assert said == [expected for _, expected in adapter.frames]


@every_adapter
def test_one_reader_reads_the_same_frame_as_the_same_thing_again(adapter: Adapter) -> None:
    read, other = adapter.reader(), adapter.reader()
    for frame, _ in adapter.frames:
        assert read(frame) == read(frame) == other(frame)


@every_adapter
def test_a_payload_is_the_venues_own_bytes_and_every_time_is_utc(adapter: Adapter) -> None:
    for (frame, _), events in zip(adapter.frames, heard_in(adapter.conversation(), adapter), strict=True):
        for one in events:
            assert one.event.payload in frame
            assert one.event.digest == digest_of(one.event.payload)
            json.loads(one.event.payload)
            assert one.event.sequence is None
            assert one.event.event_id.isprintable()
            assert one.event.occurred_at is not None
            assert one.event.occurred_at.tzinfo is UTC


@every_adapter
def test_what_is_told_belongs_to_a_row_of_the_table_and_every_row_has_a_recording(adapter: Adapter) -> None:
    rows = {channel.series: channel for channel in adapter.channels}
    events = [one for each in heard_in(adapter.conversation(), adapter) for one in each]
    assert {one.series for one in events} == (set(rows) or {WITHOUT_SERIES})
    for one in events:
        row = rows.get(one.series)
        assert (one.link is not None) == (row is not None and row.in_session)
        assert (one.step is not None) == (row is not None and row.model is Model.VALUE_LINKED)
        if one.link is not None and row is not None and row.model is Model.MERGE:
            assert one.link.number is None


@every_adapter
def test_every_recorded_frame_is_used(adapter: Adapter) -> None:
    kept = {path.read_bytes().rstrip() for path in adapter.folder.glob("frame_*.json")}
    assert kept - ANSWERS == {frame for frame, _ in adapter.frames} & kept
    assert {frame for frame, told_by in adapter.frames if told_by} <= kept


ANSWERS = {
    cryptomus.recorded("acknowledged"),
    cryptomus.recorded("acknowledged_bare"),
    poloniex_v3.recorded("authentication_failed"),
}
"""They answer a request, and say nothing on a connection that asked for nothing."""


@every_channel
def test_a_row_of_a_table_is_whole(channel: Channel) -> None:
    assert SERIES.fullmatch(channel.series)
    assert channel.topic
    assert channel.scope
    assert channel.id_fields or channel.model in (Model.NONE, Model.MERGE)
    assert channel.reach or channel.repair is Repair.NOTHING
    assert channel.unnoticed or channel.repair is not Repair.NOTHING
    assert channel.unnoticed or channel.model not in (Model.STATE, Model.MERGE, Model.NONE)
    assert channel.unnoticed is None or channel.model not in (Model.CONTIGUOUS, Model.LINKED)
    assert channel.repair is not Repair.PULL or channel.model in (Model.CONTIGUOUS, Model.LINKED)
    assert channel.repair is not Repair.HISTORY or not channel.in_session
    assert channel.settle_s > 0
    assert channel.lag_s > 0


@every_adapter
def test_a_frame_cut_short_anywhere_is_malformed_and_the_connection_goes_on(adapter: Adapter) -> None:
    read, conversation = adapter.reader(), adapter.conversation()
    for frame, _ in adapter.frames:
        for at in range(len(frame)):
            with pytest.raises(Malformed):
                read(frame[:at])
            assert conversation.hear(frame[:at]).odd == "frame.malformed"
    assert heard_in(conversation, adapter) == heard_in(adapter.conversation(), adapter)


@every_adapter
def test_what_is_no_utf_8_is_never_told_and_said_aloud(adapter: Adapter) -> None:
    """Where it spoils no event, but a word around one that nobody reads, the event is told as it is."""
    for frame, expected in adapter.frames:
        whole = [one.event.payload for one in told(adapter.conversation().hear(frame))]
        for at in range(len(frame)) if expected else ():
            heard = adapter.conversation().hear(frame[:at] + bytes([frame[at] | 0x80]) + frame[at + 1 :])
            still = [one.event.payload for one in told(heard)]
            assert still == whole or (set(still) < set(whole) and heard.odd)


@every_adapter
@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xfe", b"[]", b"null", b"7", b'"x"', b"[" * 100_000, b'{"data":' * 50_000]
)
def test_junk_is_malformed_and_the_connection_goes_on(adapter: Adapter, junk: bytes) -> None:
    conversation = adapter.conversation()
    with pytest.raises(Malformed):
        adapter.reader()(junk)
    heard = []
    for frame, _ in adapter.frames:
        assert conversation.hear(junk).odd == "frame.malformed"
        heard.append(told(conversation.hear(frame)))
    assert heard == heard_in(adapter.conversation(), adapter)


def sound(events: Sequence[Told], frame: bytes) -> None:
    """Whatever is told of a spoilt frame is an event all the same."""
    for one in events:
        assert one.event.payload in frame
        assert isinstance(json.loads(one.event.payload.decode()), dict | list)
        assert 0 < len(one.event.event_id) <= 512
        assert "\0" not in one.event.event_id + one.event.key
        assert one.event.occurred_at is None or one.event.occurred_at.utcoffset() == timedelta(0)


def survives(adapter: Adapter, frame: bytes) -> None:
    with contextlib.suppress(Malformed):
        adapter.reader()(frame)
    with contextlib.suppress(Closed):  # a frame may say that the key is not taken
        sound(told(adapter.conversation().hear(frame)), frame)


@every_adapter
@given(data=st.data())
def test_no_damage_does_anything_but_be_malformed(adapter: Adapter, data: st.DataObject) -> None:
    frame, _ = data.draw(st.sampled_from(adapter.frames))
    at = data.draw(st.integers(0, len(frame)))
    survives(adapter, frame[:at] + data.draw(st.binary(max_size=20)) + frame[at + data.draw(st.integers(0, 20)) :])


@every_adapter
@given(junk=st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_malformed(adapter: Adapter, junk: bytes) -> None:
    survives(adapter, junk)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "1760000000201", "1e999999", "NaN", "a\0", "x" * 600, "\ud800", 2**63, -1, 1e308])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@every_adapter
@given(data=st.data())
def test_no_value_of_any_member_at_any_depth_does_anything_but_be_malformed(
    adapter: Adapter, data: st.DataObject
) -> None:
    frame, _ = data.draw(st.sampled_from(adapter.frames))
    envelope = json.loads(frame)
    place = data.draw(st.sampled_from(places(envelope)))
    name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[name] = data.draw(values)
    survives(adapter, json.dumps(envelope).encode())


def places(value: object) -> list[Any]:
    """Every object and list in ``value`` that holds anything."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict | list) and value else []
    return [*here, *(place for each in inside for place in places(each))]
