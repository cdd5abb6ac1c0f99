"""From the configuration of a Poloniex v1 source to the parts it is made of."""

from bridge.config.poloniex_v1 import PoloniexV1 as Settings
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.conversation import Manners
from bridge.sources.poloniex_v1.lists import ListLimits
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits

RESERVE_SHARE = 0.3
"""The share of a second's quota that is kept back for what heals a book."""


def options_of(settings: Settings) -> PoloniexV1Options:
    """A venue's options. Raises ValueError for a channel it does not have, or that needs a key there is none of."""
    keys, limits = _keys(settings), settings.limits
    channels = channels_of(settings.channels)
    private = [channel.topic for channel in channels if channel.private]
    if private and keys is None:
        raise ValueError(f"{private[0]} needs api_key, api_secret and passphrase")
    return PoloniexV1Options(
        name=settings.name,
        topics=settings.channels,
        rest_url=settings.rest_url,
        endpoint=settings.ws_url,
        keys=keys,
        currencies=settings.currencies,
        topics_per_connection_max=limits.topics,
        connections_max=limits.connections_per_user,
        dials_max=limits.connects_per_min,
        dials_period_s=60.0,
        frames_max=limits.frames_per_10s,
        frames_period_s=10.0,
        suspect_jumps=settings.execution_gap == "suspect",
        manners=Manners(tunnels=settings.tunnels, batch_topics_max=settings.ws.batch_topics_max),
        lists=_lists(settings),
        rest=_rest(settings),
        socket=_socket(settings),
        wire=WireLimits(connect_timeout_s=settings.ws.connect_timeout_s, frame_bytes_max=settings.ws.frame_bytes_max),
    )


def _keys(settings: Settings) -> Keys | None:
    if settings.api_key is None or settings.api_secret is None or settings.passphrase is None:
        return None
    return Keys(
        api_key=settings.api_key.get_secret_value(),
        api_secret=settings.api_secret.get_secret_value(),
        passphrase=settings.passphrase.get_secret_value(),
        prefix=settings.header_prefix,
        passphrase_hmac=settings.passphrase_hmac,
    )


def _lists(settings: Settings) -> ListLimits:
    rest = settings.rest
    return ListLimits(
        page_rows_max=rest.page_rows_max,
        pages_max=rest.pages_max,
        trades_max=rest.trades_max,
        recent_max=rest.recent_max,
        pull_numbers_max=settings.pull_max_range,
        slow_calls_max=rest.slow_calls_max,
        slow_period_s=rest.slow_period_s,
    )


def _rest(settings: Settings) -> RestLimits:
    rest = settings.rest
    return RestLimits(
        requests_per_s=rest.requests_per_s,
        reserve=rest.requests_per_s * RESERVE_SHARE,
        timeout_s=rest.timeout_s,
        backoff_first_s=rest.backoff_first_s,
        backoff_max_s=rest.backoff_max_s,
        retry_after_max_s=rest.retry_after_max_s,
        body_bytes_max=rest.answer_bytes_max,
    )


def _socket(settings: Settings) -> SocketLimits:
    socket = settings.ws
    return SocketLimits(
        ping_interval_s=socket.ping_interval_s,
        silence_s=socket.ping_interval_s + socket.pong_timeout_s,
        acknowledge_timeout_s=socket.acknowledge_timeout_s,
        backoff_first_s=socket.backoff_first_s,
        backoff_max_s=socket.backoff_max_s,
        refused_retry_s=socket.unauthorized_retry_s,
    )
