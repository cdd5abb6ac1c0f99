"""From what is configured to the options of a Cryptomus source. At the edge: it knows the configuration."""

from zoneinfo import ZoneInfo

from bridge.config.cryptomus import Cryptomus, Payments
from bridge.core.body_signature import BodySignature
from bridge.sources.cryptomus.channels import topic_of
from bridge.sources.cryptomus.history import HistoryOptions
from bridge.sources.cryptomus.pages import PageLimits
from bridge.sources.cryptomus.source import CryptomusOptions
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits

RESERVE_SHARE = 0.2
"""The share of a second's quota that is kept back for tokens."""


def options_of(settings: Cryptomus) -> CryptomusOptions:
    """A venue's options, from its table of the configuration. Raises ValueError for an unknown channel."""
    for channel in settings.channels:
        topic_of(channel)
    socket, lists = settings.ws, settings.rest
    return CryptomusOptions(
        name=settings.name,
        rest_url=settings.rest_url,
        ws_url=settings.ws_url,
        channels=settings.channels,
        user_id=settings.user_id,
        api_key=settings.api_key.get_secret_value(),
        hold_s=settings.balance_reorder_hold_s,
        history=HistoryOptions(
            zone=ZoneInfo(lists.history_timezone),
            sorted_by=lists.history_sorted_by,
            pages=PageLimits(rows_max=lists.page_max, offset_max=lists.offset_max),
            markets_max=lists.markets_max,
            patience_s=lists.open_orders_patience_s,
        ),
        rest=RestLimits(
            requests_per_s=lists.requests_per_s,
            reserve=lists.requests_per_s * RESERVE_SHARE,
            timeout_s=lists.timeout_s,
            backoff_first_s=lists.backoff_first_s,
            backoff_max_s=lists.backoff_max_s,
            retry_after_max_s=lists.retry_after_max_s,
            body_bytes_max=lists.page_bytes_max,
        ),
        socket=SocketLimits(
            ping_interval_s=socket.ping_interval_s,
            silence_s=socket.silence_s,
            acknowledge_timeout_s=socket.acknowledge_timeout_s,
            backoff_first_s=socket.backoff_first_s,
            backoff_max_s=socket.backoff_max_s,
            refused_retry_s=socket.refused_retry_s,
        ),
        wire=WireLimits(connect_timeout_s=socket.connect_timeout_s, frame_bytes_max=socket.frame_bytes_max),
    )


def payments_of(webhook: Payments) -> BodySignature:
    """The one way in which callbacks of payments are signed."""
    return BodySignature(keys=tuple(secret.get_secret_value() for secret in webhook.secrets), member=webhook.member)
