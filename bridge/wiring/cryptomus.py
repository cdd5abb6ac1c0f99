"""From what is configured to the options of a Cryptomus source. At the edge: it knows the configuration."""

from zoneinfo import ZoneInfo

from bridge.config.cryptomus import Cryptomus, Payments
from bridge.core.body_signature import BodySignature
from bridge.sources.cryptomus.channels import PAYMENTS, topic_of
from bridge.sources.cryptomus.history import HistoryOptions
from bridge.sources.cryptomus.pages import PageLimits
from bridge.sources.cryptomus.source import CryptomusOptions
from bridge.sources.cryptomus.webhook import PaymentReader
from bridge.web.hooks import Receiver
from bridge.wiring.limits import rest_limits, socket_limits, wire_limits


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
        user_id=settings.user_id or "",
        api_key="" if settings.api_key is None else settings.api_key.get_secret_value(),
        hold_s=settings.balance_reorder_hold_s,
        history=HistoryOptions(
            zone=ZoneInfo(lists.history_timezone),
            sorted_by=lists.history_sorted_by,
            pages=PageLimits(rows_max=lists.page_max, offset_max=lists.offset_max),
            markets_max=lists.markets_max,
            patience_s=lists.open_orders_patience_s,
        ),
        rest=rest_limits(lists, requests_per_s=lists.requests_per_s, body_bytes_max=lists.page_bytes_max),
        socket=socket_limits(socket, silence_s=socket.silence_s, refused_retry_s=socket.refused_retry_s),
        wire=wire_limits(socket),
    )


def receiver_of(settings: Cryptomus) -> Receiver | None:
    """What the receiver pins for callbacks of payments; None where the source takes none."""
    webhook = settings.webhook
    if webhook is None:
        return None
    return Receiver(
        source=PaymentReader(webhook.member),
        stream=PAYMENTS.stream_of(settings.name),
        genuine=payments_of(webhook).verify,
        delivery_headers=(),
        body_bytes_max=webhook.body_bytes_max,
    )


def payments_of(webhook: Payments) -> BodySignature:
    """The one way in which callbacks of payments are signed."""
    return BodySignature(keys=tuple(secret.get_secret_value() for secret in webhook.secrets), member=webhook.member)
