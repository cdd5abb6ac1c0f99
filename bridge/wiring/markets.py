"""From what is configured of a source that the bridge numbers to the source itself, whichever its venue."""

from collections.abc import Callable
from functools import partial

from bridge.clock import Clock
from bridge.config.bybit import Bybit
from bridge.config.cryptomus import Cryptomus
from bridge.config.poloniex_v1 import PoloniexV1
from bridge.config.settings import Followed
from bridge.core.channel import Channel
from bridge.core.errors import ConfigError
from bridge.follow.limits import FollowLimits
from bridge.sources.bybit.source import Bybit as BybitSource
from bridge.sources.cryptomus.channels import PAYMENTS
from bridge.sources.cryptomus.source import Cryptomus as CryptomusSource
from bridge.sources.market import MarketSource
from bridge.sources.poloniex_v1.source import PoloniexV1 as PoloniexV1Source
from bridge.sources.poloniex_v3.source import PoloniexV3 as PoloniexV3Source
from bridge.web.hooks import Receiver
from bridge.wiring import bybit, cryptomus, poloniex_v1, poloniex_v3


def open_market(settings: Followed, *, clock: Clock, jitter: Callable[[], float]) -> MarketSource:
    """The source that is configured; close it when done. Raises ConfigError for a channel its venue has not."""
    try:
        return _opening(settings)(clock=clock, jitter=jitter)
    except ValueError as error:
        raise ConfigError(f"sources.{settings.name}.channels: {error}") from None


def _opening(settings: Followed) -> Callable[..., MarketSource]:
    match settings:
        case Bybit():
            return partial(BybitSource, bybit.options_of(settings))
        case Cryptomus():
            return partial(CryptomusSource, cryptomus.options_of(settings))
        case PoloniexV1():
            return partial(PoloniexV1Source, poloniex_v1.options_of(settings))
        case _:
            return partial(PoloniexV3Source, poloniex_v3.options_of(settings))


def delivered(settings: Followed) -> tuple[Channel, ...]:
    """The channels that the venue delivers to us, beside those that are followed."""
    match settings:
        case Cryptomus(webhook=webhook) if webhook is not None:
            return (PAYMENTS,)
        case _:
            return ()


def receiver_of(settings: Followed) -> Receiver | None:
    """What the receiver pins for a source; None where it takes no deliveries."""
    match settings:
        case Cryptomus():
            return cryptomus.receiver_of(settings)
        case _:
            return None


def follow_limits(settings: Followed) -> FollowLimits:
    """How its follower waits, and what it keeps."""
    follow = settings.follow
    return FollowLimits(
        pad_s=follow.pad_s,
        overlap_s=follow.overlap_s,
        prove_every_s=follow.prove_every_s,
        poll_every_s=follow.poll_every_s,
        events_waiting_max=follow.events_waiting_max,
        remembered_max=follow.remembered_max,
        snapshot_wait_s=follow.snapshot_wait_s,
        retry_max_s=follow.retry_max_s,
        repairs_side_by_side_max=follow.repairs_side_by_side_max,
        audit_every_s=follow.audit_every_s,
        audit_window_s=follow.audit_window_s,
    )
