"""From settings to the values that each part takes: names are the same wherever they mean the same."""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from bridge.clock import Clock
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.config.playbatman import Replay
from bridge.config.settings import Settings
from bridge.config.shapes import Destination
from bridge.core.channel import Channel, Model
from bridge.core.destination import DestinationPolicy, Exhausted, Order
from bridge.core.errors import ConfigError
from bridge.core.signing import decode_secret
from bridge.deliver.limits import DeliveryLimits
from bridge.ingest import StreamSpec
from bridge.listen import ListenLimits
from bridge.reconcile import ReplayLimits
from bridge.sources.market import MarketSource
from bridge.sources.playbatman.channels import channels_of
from bridge.sources.playbatman.source import PlayBatman
from bridge.web.hooks import Receiver
from bridge.wiring import markets
from bridge.wiring.markets import delivered, open_market
from bridge.wiring.playbatman import options_of, receiver_of

DICE = random.SystemRandom()
"""For jitter: no two processes are to wait in step."""


def stream_specs(settings: Settings) -> dict[str, StreamSpec]:
    """Every stream that comes in by the door, from the channel tables of the configured sources.

    Whatever is followed instead has its streams made by its follower.
    """
    specs: list[StreamSpec] = []
    for name, source in settings.numbered.items():
        replay = source.replay
        specs += [
            replace(
                _spec(name, channel),
                settle_s=replay.settle_s,
                settle_max_s=replay.settle_max_s,
                suspect_after=replay.suspect_after,
                tell_below_base=replay.start == "oldest",
            )
            for channel in channels_of(socket=source.ws_url is not None)
        ]
    for name, followed in settings.followed.items():
        specs += [_spec(name, channel) for channel in delivered(followed)]
    return {spec.name: spec for spec in specs}


def _spec(source: str, channel: Channel) -> StreamSpec:
    """A channel without the venue's numbers gets ours on arrival; where it has ids, each of them once."""
    numbered = channel.model is Model.SPARSE
    return StreamSpec(
        name=channel.stream_of(source),
        source=source,
        numbering="venue" if numbered else "bridge",
        once=bool(channel.id_fields) and not numbered,
        settle_s=channel.settle_s,
        channel=channel,
    )


def open_sources(settings: Settings, clock: Clock) -> dict[str, PlayBatman]:
    """The configured sources, each with its own REST client. Close them when done."""
    return {
        name: PlayBatman(options_of(source), clock=clock, jitter=DICE.random)
        for name, source in settings.numbered.items()
    }


def open_markets(settings: Settings, clock: Clock) -> dict[str, MarketSource]:
    """The configured sources that have channels to follow. Close them when done. Raises ConfigError."""
    return {
        name: open_market(source, clock=clock, jitter=DICE.random)
        for name, source in settings.followed.items()
        if source.channels
    }


async def stream_names(settings: Settings, clock: Clock) -> list[str]:
    """Every stream that the configured sources give. One that cannot be opened gives none."""
    names = list(stream_specs(settings))
    for name, source in settings.followed.items():
        with suppress(ConfigError):
            market = open_market(source, clock=clock, jitter=DICE.random)
            names += [channel.stream_of(name) for channel in market.channels]
            await market.close()
    return names


def receivers(settings: Settings, sources: Mapping[str, PlayBatman]) -> dict[str, Receiver]:
    """The receivers of the sources that have a webhook."""
    made = {name: receiver_of(source, sources[name]) for name, source in settings.numbered.items()}
    made |= {name: markets.receiver_of(source) for name, source in settings.followed.items()}
    return {name: receiver for name, receiver in made.items() if receiver is not None}


def replay_limits(source: NumberedSource) -> ReplayLimits:
    """What the reconciler may do at the source's venue."""
    replay: Replay = source.replay
    return ReplayLimits(
        every_s=replay.every_s,
        audit_every_s=replay.audit_every_s,
        page_max=replay.page_max,
        overlap=replay.overlap,
        start=replay.start,
        retention_s=replay.retention_s,
        margin_s=replay.margin_s,
        grace_s=replay.grace_s,
        settle_s=replay.settle_s,
        settle_max_s=replay.settle_max_s,
        pages_per_read_max=replay.pages_per_read_max,
        side_by_side_max=replay.side_by_side_max,
        backoff_first_s=replay.backoff_first_s,
        backoff_max_s=replay.backoff_max_s,
        gaps_open_max=replay.gaps_open_max,
        suspect_after=replay.suspect_after,
        unmatched_after_s=source.correlation.ttl_s,
    )


def listen_limits(source: NumberedSource) -> ListenLimits:
    return ListenLimits(events_waiting_max=source.ws.events_waiting_max)


def delivery_limits(settings: Settings) -> DeliveryLimits:
    limits = settings.limits
    return DeliveryLimits(slice_max=limits.log_read_max, poll_s=limits.poll_every_s)


def policies(settings: Settings) -> list[DestinationPolicy]:
    """Who takes the log."""
    return [policy_of(destination) for destination in settings.destinations.values()]


def policy_of(destination: Destination) -> DestinationPolicy:
    return DestinationPolicy(
        name=destination.name,
        url=destination.url,
        secrets=tuple(decode_secret(secret.get_secret_value()) for secret in destination.secrets),
        streams=destination.streams,
        types=destination.types,
        allow_private=destination.allow_private,
        timeout_s=destination.timeout_s,
        retry_first_s=destination.retry_first_s,
        retry_max_s=destination.retry_max_s,
        keys=destination.keys,
        batch_max=destination.batch_max,
        order=Order(destination.order),
        in_flight_max=destination.in_flight_max,
        rate_per_s=destination.rate_per_s,
        on_exhausted=Exhausted(destination.on_exhausted),
        attempts_max=destination.attempts_max,
        stop_after_s=destination.stop_after_s,
        checkpoint_every=destination.checkpoint_every,
        checkpoint_every_s=destination.checkpoint_every_s,
        reports=destination.reports,
    )
