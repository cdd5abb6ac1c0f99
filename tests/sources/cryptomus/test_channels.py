"""The channel table: what may be configured, and what each channel is called."""

import pytest

from bridge.core.channel import Model, Repair
from bridge.sources.cryptomus.channels import channel_of, line_of


@pytest.mark.parametrize(
    "topic, series, model, repair",
    [
        ("lastprice:BTC_USDT", "lastprice.BTC_USDT", Model.STATE, Repair.SNAPSHOT),
        ("ticker:all", "ticker", Model.STATE, Repair.SNAPSHOT),
        ("depth:BTC_USDT:0", "depth.BTC_USDT.0", Model.MERGE, Repair.SNAPSHOT),
        ("trade:BTC_USDT", "trade.BTC_USDT", Model.NONE, Repair.HISTORY),
        ("trade:all", "trade", Model.NONE, Repair.HISTORY),
        ("order:all", "order", Model.STATE, Repair.HISTORY),
        ("deal:all", "deal", Model.KEYED, Repair.HISTORY),
        ("balance:USDT", "balance.USDT", Model.VALUE_LINKED, Repair.SNAPSHOT),
    ],
)
def test_each_kind_has_its_row(topic: str, series: str, model: Model, repair: Repair) -> None:
    channel = channel_of(topic)
    assert (channel.series, channel.model, channel.repair) == (series, model, repair)
    assert channel.private is (line_of(channel) == "private")
    assert channel.settle_s >= 2.0
    assert channel.unnoticed
    assert channel.reach


def test_a_balance_settles_when_its_changes_can_no_longer_change_places() -> None:
    assert channel_of("balance:all", hold_s=3.5).settle_s == 3.5


@pytest.mark.parametrize(
    "topic, says",
    [
        ("", "no channel"),
        ("candles:BTC_USDT", "lastprice"),
        ("trade", "BASE_QUOTE or trade:all"),
        ("trade:btc_usdt", "BASE_QUOTE"),
        ("trade:BTC/USDT", "BASE_QUOTE"),
        ("depth:BTC_USDT", "BASE_QUOTE:scale"),
        ("depth:all", "cannot be followed"),
        ("balance:BTC_USDT", "CURRENCY"),
    ],
)
def test_what_is_no_channel_is_said_so(topic: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        channel_of(topic)
