"""From what is configured to the options of the parts that hear a venue. At the edge: it knows the configuration."""

from functools import partial

from bridge.config.playbatman import PlayBatman, Webhook
from bridge.core.signature import SignatureProfile, verify
from bridge.sources.playbatman.channels import EVENTS
from bridge.sources.playbatman.envelope import EnvelopeNames
from bridge.sources.playbatman.source import PlayBatmanOptions
from bridge.web.hooks import Parsing, Receiver
from bridge.wiring.limits import rest_limits, socket_limits, wire_limits


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
        rest=rest_limits(replay, requests_per_s=replay.requests_per_s, body_bytes_max=replay.page_bytes_max),
        socket=socket_limits(socket, silence_s=socket.silence_s, refused_retry_s=socket.unauthorized_retry_s),
        wire=wire_limits(socket),
    )


def receiver_of(settings: PlayBatman, source: Parsing) -> Receiver | None:
    """What the receiver pins for a source; None where it takes no deliveries."""
    webhook = settings.webhook
    if webhook is None:
        return None
    secrets = tuple(secret.get_secret_value() for secret in webhook.secrets)
    return Receiver(
        source=source,
        stream=EVENTS.stream_of(settings.name),
        genuine=partial(verify, profile_of(webhook), secrets),
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
