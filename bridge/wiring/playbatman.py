"""From what is configured to the options of the parts that hear a venue. At the edge: it knows the configuration."""

from bridge.config.playbatman import PlayBatman, Webhook
from bridge.core.signature import SignatureProfile
from bridge.sources.playbatman.envelope import EnvelopeNames
from bridge.sources.playbatman.source import PlayBatmanOptions
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits
from bridge.web.hooks import Parsing, Receiver

RESERVE_SHARE = 0.2
"""The share of a second's quota that is kept back for urgent reads."""


def options_of(settings: PlayBatman) -> PlayBatmanOptions:
    """A venue's options, from its table of the configuration."""
    replay, socket = settings.replay, settings.ws
    return PlayBatmanOptions(
        name=settings.name,
        rest_url=settings.rest_url,
        ws_url=settings.ws_url,
        api_key=settings.api_key.get_secret_value(),
        markets=settings.markets,
        close_unauthorized=socket.close_unauthorized,
        names=_names(settings.webhook),
        more_fields=replay.more_fields,
        rest=RestLimits(
            requests_per_s=replay.requests_per_s,
            reserve=replay.requests_per_s * RESERVE_SHARE,
            timeout_s=replay.timeout_s,
            backoff_first_s=replay.backoff_first_s,
            backoff_max_s=replay.backoff_max_s,
            retry_after_max_s=replay.retry_after_max_s,
            body_bytes_max=replay.page_bytes_max,
        ),
        socket=SocketLimits(
            ping_interval_s=socket.ping_interval_s,
            silence_s=socket.silence_s,
            acknowledge_timeout_s=socket.acknowledge_timeout_s,
            backoff_first_s=socket.backoff_first_s,
            backoff_max_s=socket.backoff_max_s,
            refused_retry_s=socket.unauthorized_retry_s,
        ),
        wire=WireLimits(
            connect_timeout_s=socket.connect_timeout_s,
            frame_bytes_max=socket.frame_bytes_max,
        ),
    )


def receiver_of(settings: PlayBatman, source: Parsing) -> Receiver | None:
    """What the receiver pins for a source; None where it takes no deliveries."""
    webhook = settings.webhook
    if webhook is None:
        return None
    return Receiver(
        source=source,
        stream=f"{settings.name}.events",
        profile=profile_of(webhook),
        secrets=tuple(secret.get_secret_value() for secret in webhook.secrets),
        delivery_headers=webhook.delivery_id_header,
        body_bytes_max=webhook.body_bytes_max,
    )


def profile_of(webhook: Webhook) -> SignatureProfile:
    """The one profile that is pinned for a source."""
    pinned = webhook.signature
    return SignatureProfile(
        header=pinned.header,
        encoding=pinned.encoding,
        prefix=pinned.prefix,
        content=pinned.content,
        key=pinned.key,
        timestamp_header=pinned.timestamp_header,
        tolerance_s=pinned.tolerance_s,
    )


def _names(webhook: Webhook | None) -> EnvelopeNames:
    if webhook is None:
        return EnvelopeNames()
    envelope = webhook.envelope
    return EnvelopeNames(type=envelope.type, payload=envelope.data, id=envelope.id, sequence=envelope.sequence)
