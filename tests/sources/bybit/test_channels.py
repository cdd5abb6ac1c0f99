"""The table of channels, and what people may configure."""

import pytest

from bridge.core.channel import Model, Repair
from bridge.sources.bybit.channels import channel_of, topic_of
from bridge.sources.bybit.kinds import KINDS


@pytest.mark.parametrize(
    "topic, category, model, repair",
    [
        ("orderbook.50.BTCUSDT", "linear", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.200.BTCUSDT", "spot", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.1000.BTCUSD", "inverse", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.rpi.BTCUSDT", "linear", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.100.BTC-27NOV26-90000-C", "option", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.full.BTCUSDT", "spot", Model.CONTIGUOUS, Repair.SNAPSHOT),
        ("orderbook.1.BTCUSDT", "linear", Model.STATE, Repair.SNAPSHOT),
        ("publicTrade.BTCUSDT", "linear", Model.KEYED, Repair.HISTORY),
        ("publicTrade.BTC", "option", Model.KEYED, Repair.HISTORY),
        ("tickers.BTCUSDT", "linear", Model.MERGE, Repair.SNAPSHOT),
        ("tickers.BTCUSDT", "spot", Model.STATE, Repair.SNAPSHOT),
        ("kline.D.BTCUSDT", "linear", Model.STATE, Repair.HISTORY),
        ("allLiquidation.BTCUSDT", "linear", Model.NONE, Repair.NOTHING),
        ("order", "linear", Model.STATE, Repair.HISTORY),
        ("order.spot", "linear", Model.STATE, Repair.HISTORY),
        ("execution", "spot", Model.KEYED, Repair.HISTORY),
        ("execution.fast.linear", "spot", Model.KEYED, Repair.HISTORY),
        ("position.inverse", "linear", Model.STATE, Repair.SNAPSHOT),
        ("wallet", "linear", Model.STATE, Repair.SNAPSHOT),
        ("greeks", "option", Model.STATE, Repair.NOTHING),
    ],
)
def test_each_topic_has_its_row_of_the_table(topic: str, category: str, model: Model, repair: Repair) -> None:
    channel = channel_of(topic, category=category)
    assert (channel.series, channel.topic, channel.model, channel.repair) == (topic, topic, model, repair)


@pytest.mark.parametrize(
    "topic, category, words",
    [
        ("weather", "linear", "no channel of bybit"),
        ("orderbook.7.BTCUSDT", "linear", "no channel of bybit"),
        ("orderbook.50.", "linear", "no channel of bybit"),
        ("publicTrade.BTC/USDT", "spot", "no channel of bybit"),
        ("publicTrade.BTCUSDT\n", "spot", "no channel of bybit"),
        ("orderbook.25.BTCUSDT", "linear", "category linear"),
        ("allLiquidation.BTCUSDT", "spot", "category spot"),
        ("dcp.future", "linear", "arms a protection"),
        ("position.spot", "linear", "no channel of bybit"),
        ("publicTrade.BTCUSDT", "rfq", "must be one of"),
    ],
)
def test_what_nobody_knows_is_refused_with_a_reason(topic: str, category: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        channel_of(topic, category=category)


def test_a_lenient_book_counts_nothing_and_says_what_that_costs() -> None:
    strict = channel_of("orderbook.50.BTCUSDT", category="linear")
    lenient = channel_of("orderbook.50.BTCUSDT", category="linear", book_policy="lenient")
    assert (strict.model, strict.unnoticed) == (Model.CONTIGUOUS, None)
    assert lenient.model is Model.MERGE
    assert lenient.unnoticed


def test_a_private_topic_knows_the_product_it_is_restricted_to() -> None:
    assert topic_of("execution.fast", category="spot").category == ""
    assert topic_of("execution.fast.linear", category="spot").category == "linear"
    assert topic_of("execution.spot", category="linear").kind.word == "execution"


def test_nothing_without_repair_promises_that_every_loss_shows() -> None:
    assert [kind.word for kind in KINDS if kind.repair is Repair.NOTHING and not kind.unnoticed] == []


def test_no_series_holds_what_a_streams_name_must_not() -> None:
    assert not any(mark in kind.pattern.replace("(?:", "") for kind in KINDS for mark in ("/", " "))
