"""From the configuration to a source that could run."""

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.clock import ManualClock
from bridge.config.bybit import Bybit as Configured
from bridge.sources.bybit.source import Bybit
from bridge.wiring.bybit import options_of
from tests.sources.bybit.recorded import ms

KEYS = {"api_key": "key-nobody-may-see", "api_secret": "secret-nobody-may-see"}


def configured(*channels: str, **more: Any) -> Configured:
    return Configured.model_validate({"name": "by", "venue": "bybit", "channels": channels, **more})


def lines_of(settings: Configured) -> dict[str, list[str]]:
    source = Bybit(options_of(settings), clock=ManualClock(ms(1760000000000)), jitter=lambda: 0.5)
    return {line.name: [channel.series for channel in line.channels] for line in source.lines}


def test_a_line_is_there_only_where_a_channel_needs_it() -> None:
    public, private = "publicTrade.BTCUSDT", "execution"
    assert lines_of(configured(public)) == {"public": [public]}
    assert lines_of(configured(private, **KEYS)) == {"private": [private]}
    assert lines_of(configured(private, public, **KEYS)) == {"public": [public], "private": [private]}


def test_the_public_address_follows_the_category() -> None:
    assert options_of(configured("tickers.BTCUSDT")).ws_url == "wss://stream.bybit.com/v5/public/linear"
    spot = configured("tickers.BTCUSDT", category="spot")
    assert options_of(spot).ws_url == "wss://stream.bybit.com/v5/public/spot"
    assert options_of(spot).reach.category == "spot"


@pytest.mark.parametrize(
    "channels, more, words",
    [
        ((), {}, "at least 1"),
        (("order", "order"), KEYS, "stands twice"),
        (("order",), {"api_key": "k"}, "belong together"),
        (("tickers.BTCUSDT",), {"ws_url": "wss://x/v5/public/spot"}, "address of spot"),
        (("tickers.BTCUSDT",), {"ws": {"ping_interval_s": 60}}, "smaller than silence_s"),
        (("order",), {"ws": {"ping_interval_s": 40, "max_active_time_s": 30}, **KEYS}, "max_active_time_s"),
        (("order",), {"ws": {"max_active_time_s": 29}, **KEYS}, "30"),
        (tuple(f"publicTrade.A{n:06}USDT" for n in range(1000)), {}, "21000"),
        (("order",), {"webhook": {}, **KEYS}, "not permitted"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(channels: tuple[str, ...], more: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        configured(*channels, **more)


@pytest.mark.parametrize(
    "channel, more, words",
    [("weather", {}, "no channel of bybit"), ("order", {}, "need api_key"), ("order.spot", {}, "need api_key")],
)
def test_what_the_venue_does_not_have_is_refused_before_anything_is_opened(
    channel: str, more: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        options_of(configured(channel, **more))


def test_no_key_is_ever_shown() -> None:
    settings = configured("order", **KEYS)
    shown = f"{settings!r} {options_of(settings)!r}"
    assert "nobody-may-see" not in shown
    assert options_of(settings).api_secret == KEYS["api_secret"]


def test_a_lenient_book_is_configured() -> None:
    (channel,) = Bybit(
        options_of(configured("orderbook.50.BTCUSDT", ws={"book_u_policy": "lenient"})),
        clock=ManualClock(ms(1760000000000)),
        jitter=lambda: 0.5,
    ).channels
    assert channel.model == "merge"
