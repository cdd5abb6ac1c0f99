"""From the configuration of a Poloniex v1 source to the parts it is made of."""

from bridge.config.poloniex_v1 import PoloniexV1 as Settings
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.conversation import Manners
from bridge.sources.poloniex_v1.lists import ListLimits
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys
from bridge.wiring.limits import rest_limits, socket_limits, wire_limits

RESERVE_SHARE = 0.3
"""The share of a second's quota that is kept back for what heals a book."""


def options_of(settings: Settings) -> PoloniexV1Options:
    """A venue's options. Raises ValueError for a channel it does not have, or that needs a key there is none of."""
    keys, limits, rest, socket = _keys(settings), settings.limits, settings.rest, settings.ws
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
        manners=Manners(tunnels=settings.tunnels, batch_topics_max=socket.batch_topics_max),
        lists=_lists(settings),
        rest=rest_limits(
            rest,
            requests_per_s=rest.requests_per_s,
            body_bytes_max=rest.answer_bytes_max,
            reserve_share=RESERVE_SHARE,
        ),
        socket=socket_limits(
            socket,
            silence_s=socket.ping_interval_s + socket.pong_timeout_s,
            refused_retry_s=socket.unauthorized_retry_s,
        ),
        wire=wire_limits(socket),
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
