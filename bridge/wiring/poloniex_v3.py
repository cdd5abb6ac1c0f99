"""From what is configured to the options of the Poloniex v3 source. At the edge: it knows the configuration."""

from bridge.config.poloniex_v3 import PoloniexV3
from bridge.sources.poloniex_v3.channels import channel_of
from bridge.sources.poloniex_v3.conversation import Manners
from bridge.sources.poloniex_v3.history import HistoryLimits
from bridge.sources.poloniex_v3.source import PoloniexV3Options
from bridge.wiring.limits import rest_limits, socket_limits, wire_limits


def options_of(settings: PoloniexV3) -> PoloniexV3Options:
    """A venue's options, from its table of the configuration.

    Raises ValueError for a channel that the venue does not have, and for a private one without a key.
    """
    for topic in settings.channels:
        if channel_of(topic).private and settings.api_key is None:
            raise ValueError(f"{topic} is private: api_key and api_secret are missing")
    socket, lists = settings.ws, settings.rest
    key, secret = settings.api_key, settings.api_secret
    return PoloniexV3Options(
        name=settings.name,
        topics=settings.channels,
        ws_url=settings.ws_url,
        private_ws_url=settings.private_ws_url,
        rest_url=settings.rest_url,
        api_key="" if key is None else key.get_secret_value(),
        api_secret="" if secret is None else secret.get_secret_value(),
        receive_window_ms=lists.receive_window_ms,
        authenticate_timeout_s=socket.authenticate_timeout_s,
        dials_per_s=socket.dials_per_s,
        suspect_jumps=settings.trades_gap == "suspect",
        manners=Manners(book_depth=settings.book_depth, symbols_per_request_max=socket.symbols_per_request_max),
        history=HistoryLimits(
            trades_max=lists.trades_max,
            page_max=lists.page_max,
            rows_max=lists.rows_max,
            retention_s=lists.retention_days * 86_400,
            cancelled_visible_s=settings.cancelled_visible_h * 3_600,
            order_lookback_s=lists.order_lookback_h * 3_600,
            direction=lists.direction,
        ),
        rest=rest_limits(lists, requests_per_s=lists.public_per_s, body_bytes_max=lists.page_bytes_max),
        private_rest=rest_limits(lists, requests_per_s=lists.private_per_s, body_bytes_max=lists.page_bytes_max),
        socket=socket_limits(socket, silence_s=socket.silence_s, refused_retry_s=socket.key_refused_retry_s),
        wire=wire_limits(socket),
    )
