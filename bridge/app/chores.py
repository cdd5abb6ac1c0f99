"""What one worker does for all of them: to report each day, to forget what is old, to look, and to tell people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alert.telling import Teller
from bridge.alert.watching import Watch
from bridge.app.parts import DICE
from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.core.destination import DestinationPolicy
from bridge.deliver.limits import Posting
from bridge.egress import Egress
from bridge.reporting import Reporting, ReportLimits
from bridge.retention import Retention, RetentionLimits
from bridge.wiring import alerts
from bridge.worker import Chore


@dataclass(frozen=True, slots=True)
class Means:
    """What chores work with.

    ``told`` are those who are delivered to now; ``observe`` hears of notices to people; ``posting`` traces POSTs.
    """

    engine: AsyncEngine
    egress: Egress
    clock: Clock
    told: Callable[[], Sequence[DestinationPolicy]]
    observe: Callable[[str, str], None]
    posting: Posting | None = None


def chores(settings: Settings, means: Means) -> list[Chore]:
    """Each as the settings want it, or not at all."""
    return [*_reporting(settings, means), *_forgetting(settings, means), *_alerting(settings, means)]


def _reporting(settings: Settings, means: Means) -> list[Chore]:
    wanted = settings.reports
    if not wanted.enabled:
        return []
    limits = ReportLimits(after_s=wanted.after_s, keep_days=settings.retention.reports_days)
    reporting = Reporting(
        means.engine,
        means.egress,
        means.clock,
        policies=means.told,
        jitter=DICE.random,
        limits=limits,
        posting=means.posting,
    )
    return [Chore("reports", reporting.tick, wanted.every_s)]


def _forgetting(settings: Settings, means: Means) -> list[Chore]:
    wanted = settings.retention
    if not wanted.enabled:
        return []
    limits = RetentionLimits(
        keep_days=wanted.keep_days,
        attempts_days=wanted.attempts_days,
        reports_days=wanted.reports_days,
        rows_max=wanted.rows_max,
        entries_min=wanted.entries_min,
    )
    return [Chore("retention", Retention(means.engine, means.clock, limits).tick, wanted.every_s)]


def _alerting(settings: Settings, means: Means) -> list[Chore]:
    """One that looks, and one for each channel: that one is away keeps no other waiting."""
    wanted = settings.alerts
    if not wanted.enabled:
        return []
    engine, clock = means.engine, means.clock
    channels = alerts.channels_of(settings, means.egress)
    watch = Watch(engine, clock, alerts.thresholds_of(settings), alerts.pace_of(settings), channels)
    patience = alerts.patience_of(settings)
    tellers = [
        (channel.name, Teller(engine, clock, channel, patience=patience, jitter=DICE.random, observe=means.observe))
        for channel in channels
    ]
    return [
        Chore("alerts", watch.tick, wanted.every_s),
        *(Chore(f"alerts.{name}", teller.tick, wanted.send_every_s) for name, teller in tellers),
    ]
