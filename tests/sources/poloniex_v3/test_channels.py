"""What a user may name, and what is known of it."""

import pytest
from pydantic import ValidationError

from bridge.config.poloniex_v3 import PoloniexV3
from bridge.core.channel import Model, Repair
from bridge.sources.poloniex_v3.channels import TABLE, channel_of
from bridge.wiring.poloniex_v3 import options_of
from tests.sources.poloniex_v3.recorded import SYMBOL, TOPICS

KEYS = {"api_key": "k3y", "api_secret": "s3cret"}


@pytest.mark.parametrize(
    "topic, series, model, repair, private",
    [
        (f"book_lv2:{SYMBOL}", f"book_lv2.{SYMBOL}", Model.LINKED, Repair.SNAPSHOT, False),
        (f"trades:{SYMBOL}", f"trades.{SYMBOL}", Model.KEYED, Repair.HISTORY, False),
        ("tickers:all", "tickers.all", Model.STATE, Repair.SNAPSHOT, False),
        (f"liquidation_orders:{SYMBOL}", f"liquidation_orders.{SYMBOL}", Model.NONE, Repair.NOTHING, False),
        ("orders", "orders", Model.STATE, Repair.HISTORY, True),
        ("trade", "trade", Model.KEYED, Repair.HISTORY, True),
        ("positions", "positions", Model.VALUE_LINKED, Repair.HISTORY, True),
        ("account", "account", Model.STATE, Repair.HISTORY, True),
    ],
)
def test_a_channel_is_what_its_row_of_the_table_says(
    topic: str, series: str, model: Model, repair: Repair, private: bool
) -> None:
    channel = channel_of(topic)
    assert (channel.topic, channel.series, channel.model, channel.repair) == (topic, series, model, repair)
    assert channel.private == private
    assert "/" not in channel.series
    assert ":" not in channel.series


def test_every_channel_whose_losses_may_go_unnoticed_says_which() -> None:
    assert {word for word, row in TABLE.items() if row.unnoticed is None} == {"book_lv2"}


@pytest.mark.parametrize(
    "topic",
    ["", "weather:X", "book_lv2", "book_lv2:all", "trades:all", "trades:", "trades:btc", f"orders:{SYMBOL}"],
)
def test_what_is_no_channel_is_refused_with_a_reason(topic: str) -> None:
    with pytest.raises(ValueError, match=r"channel|symbol"):
        channel_of(topic)


def settings(**given: object) -> PoloniexV3:
    return PoloniexV3.model_validate({"name": "p3", "venue": "poloniex_v3", **given})


def test_what_is_configured_reaches_the_options() -> None:
    given = settings(
        channels=TOPICS, trades_gap="ignore", cancelled_visible_h=5, ws={"ping_interval_s": 9}, book_depth=10, **KEYS
    )
    options = options_of(given)
    assert options.topics == TOPICS
    assert options.ws_url == "wss://ws.poloniex.com/ws/v3/public"
    assert not options.suspect_jumps
    assert options.history.cancelled_visible_s == 5 * 3600
    assert options.socket.ping_interval_s == 9
    assert options.manners.book_depth == 10
    assert (options.api_key, options.api_secret) == ("k3y", "s3cret")
    assert "k3y" not in repr(options) + repr(given)
    assert "s3cret" not in repr(options) + repr(given)


def test_public_channels_need_no_key_and_private_ones_do() -> None:
    assert options_of(settings(channels=[f"trades:{SYMBOL}"])).api_key == ""
    with pytest.raises(ValueError, match="orders is private"):
        options_of(settings(channels=["orders"]))


def test_a_channel_the_venue_does_not_have_is_refused_when_the_parts_are_made() -> None:
    with pytest.raises(ValueError, match="no channel"):
        options_of(settings(channels=["weather:X"]))


@pytest.mark.parametrize(
    "given",
    [
        {"channels": []},
        {"channels": ["orders", "orders"]},
        {"channels": ["orders"], "api_key": "k"},
        {"channels": ["orders"], "ws": {"ping_interval_s": 30}},
        {"channels": ["orders"], "ws": {"ping_interval_s": 20, "silence_s": 20}},
        {"channels": ["orders"], "rest": {"page_max": 101}},
        {"channels": ["orders"], "colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)
