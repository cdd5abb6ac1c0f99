"""From what is configured of alerts to the values that they take, and to their channels."""

from bridge.alert.channel import Channel
from bridge.alert.logged import LogChannel
from bridge.alert.mail import MailChannel, Relay
from bridge.alert.slack import SlackChannel
from bridge.alert.telling import Patience
from bridge.alert.values import Pace, Thresholds
from bridge.config.alerts import Email, Slack
from bridge.config.settings import Settings
from bridge.egress import Egress

_DAY_S = 86_400.0


def thresholds_of(settings: Settings) -> Thresholds:
    wanted = settings.alerts
    return Thresholds(
        gap_open_s=wanted.gap_open_s,
        gap_warning_share=wanted.gap_warning_percent / 100,
        gap_critical_share=wanted.gap_critical_percent / 100,
        unmatched_s=wanted.unmatched_s,
        lagging_s=wanted.lagging_s,
        expiring_share=wanted.expiring_percent / 100,
        keep_s=settings.retention.keep_days * _DAY_S if settings.retention.enabled else None,
        database_bytes_max=wanted.database_bytes_max,
        sources={name: wanted.silent_sources_s.get(name, wanted.silent_s) for name in settings.sources},
        takers={name: destination.streams for name, destination in settings.destinations.items()},
        off=frozenset(wanted.off),
    )


def pace_of(settings: Settings) -> Pace:
    wanted = settings.alerts
    return Pace(
        resolve_s=wanted.resolve_s,
        quiet_s=wanted.quiet_s,
        repeat_s=wanted.repeat_s,
        notices_per_minute_max=wanted.notices_per_minute_max,
    )


def patience_of(settings: Settings) -> Patience:
    return Patience(give_up_s=settings.alerts.give_up_s)


def channels_of(settings: Settings, egress: Egress) -> list[Channel]:
    """The log first, then what is configured."""
    made: list[Channel] = [LogChannel()]
    made += [
        _slack(one, egress) if isinstance(one, Slack) else _email(one) for one in settings.alerts.channels.values()
    ]
    return made


def _slack(configured: Slack, egress: Egress) -> SlackChannel:
    return SlackChannel(
        configured.name,
        configured.severity,
        configured.url.get_secret_value(),
        egress,
        timeout_s=configured.timeout_s,
        allow_private=configured.allow_private,
    )


def _email(configured: Email) -> MailChannel:
    relay = Relay(
        configured.host,
        configured.port_used,
        configured.tls,
        configured.username,
        None if configured.password is None else configured.password.get_secret_value(),
    )
    return MailChannel(
        configured.name, configured.severity, relay, configured.sender, configured.to, timeout_s=configured.timeout_s
    )
