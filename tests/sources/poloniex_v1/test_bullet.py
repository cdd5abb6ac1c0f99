"""The token that opens a connection, the quotas, and what the configuration makes of it all."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from bridge.config.poloniex_v1 import PoloniexV1 as Settings
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v1.bullet import read_bullet
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.socket import SocketLimits
from bridge.wiring.poloniex_v1 import options_of
from tests.sources.poloniex_v1.recorded import SYMBOL

TOKEN = "vY/N+lCt==.Io_ORV-xR2&a=b"
LIMITS = SocketLimits(ping_interval_s=20, silence_s=30)
PUBLIC = f"/contractMarket/level2:{SYMBOL}"
PRIVATE = "/contractMarket/tradeOrders"


def body(*, endpoint: str = "wss://ws.test/endpoint", interval: object = 50_000, timeout: object = 10_000) -> bytes:
    server = {"pingInterval": interval, "endpoint": endpoint, "protocol": "websocket", "pingTimeout": timeout}
    return json.dumps({"code": "200000", "data": {"instanceServers": [server], "token": TOKEN}}).encode()


def test_the_token_survives_the_url_whatever_signs_it_holds() -> None:
    url = urlsplit(read_bullet(body(), encrypted=True).url("c-1", private=True))
    assert (url.scheme, url.hostname, url.path) == ("wss", "ws.test", "/endpoint")
    assert parse_qs(url.query) == {"token": [TOKEN], "connectId": ["c-1"], "acceptUserMessage": ["true"]}


def test_user_messages_are_asked_for_on_private_connections_only() -> None:
    url = read_bullet(body(endpoint="wss://ws.test/e?x=1"), encrypted=True).url("c-1", private=False)
    assert url.startswith("wss://ws.test/e?x=1&token=")
    assert "acceptUserMessage" not in url


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(read_bullet(body(), encrypted=True))


@pytest.mark.parametrize("endpoint", ["ws://ws.test/endpoint", "https://ws.test", "wss://", "", "wss://[x"])
def test_a_token_given_over_tls_does_not_leave_it(endpoint: str) -> None:
    with pytest.raises(Malformed):
        read_bullet(body(endpoint=endpoint), encrypted=True)


def test_without_tls_any_socket_will_do_and_a_configured_one_replaces_the_venues() -> None:
    assert read_bullet(body(endpoint="ws://ws.test/e"), encrypted=False).endpoint == "ws://ws.test/e"
    assert read_bullet(body(), encrypted=True, endpoint="wss://mine.test").endpoint == "wss://mine.test"


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b'{"data":{"token":"t","instanceServers":[]}}', b'{"data":{"token":7}}']
)
def test_an_answer_without_a_token_is_malformed(junk: bytes) -> None:
    with pytest.raises(Malformed):
        read_bullet(junk, encrypted=False)


@pytest.mark.parametrize(
    "interval, timeout, expected",
    [
        (50_000, 10_000, (20, 30)),  # the venue is more patient than we are
        (5_000, 2_000, (5, 7)),
        (1, 1, (1, 2)),  # nobody makes us ping a thousand times a second
        ("x", None, (20, 30)),
        (-5, 0, (20, 30)),
    ],
)
def test_the_venues_wishes_for_pings_hold_within_reason(
    interval: object, timeout: object, expected: tuple[float, float]
) -> None:
    limits = read_bullet(body(interval=interval, timeout=timeout), encrypted=True).bounded(LIMITS)
    assert (limits.ping_interval_s, limits.silence_s) == expected


def test_a_quota_holds_in_every_window() -> None:
    quota = Quota(3, 10.0)
    now = 0.0
    taken: list[float] = []
    while len(taken) < 10:
        wait_s = quota.take(now)
        if wait_s == 0:
            taken.append(now)
        now += max(wait_s, 0.5)
    assert all(later - earlier >= 10.0 for earlier, later in zip(taken, taken[3:], strict=False))
    assert taken[:3] == [0.0, 0.5, 1.0]


def settings(**changes: object) -> Settings:
    return Settings.model_validate({"name": "po", "venue": "poloniex_v1", "channels": [PUBLIC], **changes})


def test_the_settings_reach_the_parts() -> None:
    keys = {"api_key": "k", "api_secret": "s", "passphrase": "p", "header_prefix": "KC", "passphrase_hmac": True}
    options = options_of(
        settings(
            **keys,
            tunnels=3,
            pull_max_range=100,
            execution_gap="ignore",
            ws={"ping_interval_s": 5, "pong_timeout_s": 2},
            limits={"connects_per_min": 7, "frames_per_10s": 9, "topics": 11, "connections_per_user": 13},
        )
    )
    assert options.keys is not None
    assert (options.keys.prefix, options.keys.passphrase_hmac) == ("KC", True)
    assert (options.manners.tunnels, options.lists.pull_numbers_max, options.suspect_jumps) == (3, 100, False)
    assert (options.socket.ping_interval_s, options.socket.silence_s) == (5, 7)
    assert (options.dials_max, options.frames_max) == (7, 9)
    assert (options.topics_per_connection_max, options.connections_max) == (11, 13)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": []},
        {"tunnels": 6},
        {"pull_max_range": 501},
        {"api_key": "k"},
        {"ws": {"ping_interval_s": 60}},
        {"header_prefix": "PF\r\n"},
        {"nonsense": 1},
    ],
)
def test_what_cannot_work_is_refused_at_load(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_an_unknown_channel_and_a_private_one_without_a_key_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no channel"):
        options_of(settings(channels=["/contractMarket/level9:X"]))
    with pytest.raises(ValueError, match="needs api_key"):
        options_of(settings(channels=[PRIVATE]))
