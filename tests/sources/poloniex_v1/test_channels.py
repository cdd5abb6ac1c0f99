"""The channel table, and the topics that people configure."""

import pytest

from bridge.core.channel import IN_SESSION, Model, Repair
from bridge.sources.poloniex_v1.channels import KINDS, channel_of, channels_of, kind_of, symbol_of
from tests.sources.poloniex_v1.recorded import TOPICS


def test_a_topic_becomes_a_series_in_dots() -> None:
    assert channel_of("/contractMarket/level2:BTCUSDTPERP").series == "level2.BTCUSDTPERP"
    assert channel_of("/contractMarket/tradeOrders").series == "tradeOrders"
    assert channel_of("/contractMarket/tradeOrders:BTCUSDTPERP").series == "tradeOrders.BTCUSDTPERP"
    assert channel_of("/contractMarket/level3:BTCUSDTPERP").series == "level3v2.BTCUSDTPERP"


@pytest.mark.parametrize(
    "topic, word",
    [
        ("level2:BTCUSDTPERP", "no channel"),
        ("/contractMarket/level9:BTCUSDTPERP", "no channel"),
        ("/contractMarket/level2", "needs a symbol"),
        ("/contractMarket/level2:", "one symbol"),
        ("/contractMarket/level2:BTCUSDTPERP,ETHUSDTPERP", "one symbol"),
        ("/contractMarket/level2:BTC.USDT", "one symbol"),
        ("/contractAccount/wallet:USDT", "none here"),
    ],
)
def test_an_unknown_topic_is_refused_in_words(topic: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        channel_of(topic)


def test_two_topics_of_one_series_are_refused() -> None:
    with pytest.raises(ValueError, match=r"level3v2\.BTCUSDTPERP"):
        channels_of(("/contractMarket/level3:BTCUSDTPERP", "/contractMarket/level3v2:BTCUSDTPERP"))


def test_every_channel_finds_its_row_of_the_table_again() -> None:
    for channel in channels_of(TOPICS):
        kind = kind_of(channel)
        assert channel.topic.startswith(kind.path)
        assert channel.series == ".".join(filter(None, (kind.word, symbol_of(channel))))


def test_every_row_says_what_repairs_it_and_what_nobody_notices() -> None:
    for kind in KINDS:
        assert kind.reach, kind.word
        numbered = kind.model in IN_SESSION and kind.model is not Model.MERGE
        assert numbered == (kind.unnoticed is None), kind.word
        assert (kind.repair is Repair.PULL) == numbered, kind.word
