"""From what is configured of a Bybit source to its options. At the edge: it knows the configuration."""

from pydantic import SecretStr

from bridge.config.bybit import Bybit
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.reach import Reach
from bridge.wiring.limits import rest_limits, socket_limits, wire_limits


def options_of(settings: Bybit) -> BybitOptions:
    """A source's options, from its table of the configuration. Raises ValueError for a channel nobody knows."""
    socket, rest = settings.ws, settings.rest
    return BybitOptions(
        name=settings.name,
        channels=settings.channels,
        rest_url=settings.rest_url,
        ws_url=settings.public_ws_url,
        private_ws_url=settings.private_ws_url,
        category=settings.category,
        api_key=_shown(settings.api_key),
        api_secret=_shown(settings.api_secret),
        book_policy=socket.book_u_policy,
        auth_expires_ms=socket.auth_expires_ms,
        recv_window_ms=rest.recv_window_ms,
        max_active_time_s=socket.max_active_time_s,
        args_max=socket.topics_per_request_max,
        connections_per_window_max=socket.connections_per_window_max,
        banned_s=rest.banned_s,
        pages_max=rest.pages_max,
        reach=Reach(
            category=settings.category,
            categories=settings.categories,
            settle_coins=settings.settle_coins,
            account_type=settings.account_type,
            overlap_s=rest.overlap_s,
            order_lookback_s=rest.order_lookback_s,
            rows_max=rest.rows_max,
        ),
        rest=rest_limits(rest, requests_per_s=rest.requests_per_s, body_bytes_max=rest.page_bytes_max),
        socket=socket_limits(socket, silence_s=socket.silence_s, refused_retry_s=socket.unauthorized_retry_s),
        wire=wire_limits(socket),
    )


def _shown(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
