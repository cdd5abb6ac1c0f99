"""From what was found and what was said before to what is said now. Pure: whoever calls it stores and tells.

An alert is open from when its condition was first found until it was gone for a while. What is said of it follows
from two things that its row holds: how it is, and how it was when it was last spoken of.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from bridge.alert.values import Findings, Kind, Pace, Severity, Tally, rank
from bridge.alert.words import many, moment
from bridge.store.alerts import Alert, Key
from bridge.store.notices import Recent
from bridge.store.silences import Silence

MINUTE = timedelta(minutes=1)
_ORDER = (Kind.FIRING, Kind.WORSE, Kind.AGAIN, Kind.RESOLVED)


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored. ``before`` is the newest alert of each key, open or not; a silence holds."""

    open: Sequence[Alert]
    before: Mapping[Key, Alert]
    silences: Sequence[Silence]
    recent: Recent


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing to be said. ``alert`` is as it will be stored, None for a line that sums up."""

    kind: Kind
    severity: str
    sentence: str
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Decision:
    """``changed`` is to be stored (those without an id are new), ``sayings`` to be told, in one transaction."""

    changed: tuple[Alert, ...]
    sayings: tuple[Saying, ...]


def decide(found: Findings, known: Known, pace: Pace, now: datetime) -> Decision:
    """What to store and what to say."""
    standing = {alert.key: alert for alert in known.before.values() if alert.resolved_at is None}
    standing |= {alert.key: alert for alert in known.open}
    current = standing | _conditions(found, standing, now) | _tallies(found.tallies, known.before, standing, now)
    holds = {key: _hold(known.before.get(key), pace) for key in current.keys() - standing.keys()}
    current |= {key: replace(current[key], hold_until=hold) for key, hold in holds.items()}
    wanted: list[tuple[Kind, Alert]] = []
    over: dict[Key, Alert] = {}
    for key, alert in current.items():
        kind = _kind(alert, known, found, pace, now)
        if kind is Kind.RESOLVED and alert.noticed_at is None:
            over[key] = replace(alert, resolved_at=now)
        elif kind is not None:
            wanted.append((kind, alert))
    wanted.sort(key=lambda one: (-rank(one[1].severity), _ORDER.index(one[0]), one[1].first_at, one[1].key))
    sayings, said = _paced(wanted, known.recent, pace, now)
    final = current | over | said
    changed = tuple(alert for key, alert in final.items() if alert != standing.get(key))
    return Decision(changed, tuple(sayings))


def is_silenced(key: Key, silences: Iterable[Silence]) -> bool:
    """Whether nobody wants to be told of it."""
    rule, subject = key
    return any(fnmatchcase(rule, one.rule) and fnmatchcase(subject, one.subject) for one in silences)


def _conditions(found: Findings, standing: Mapping[Key, Alert], now: datetime) -> dict[Key, Alert]:
    """What holds, as it is now. An open alert never gets better: what was critical stays so until it is over."""
    made: dict[Key, Alert] = {}
    for one in found.conditions:
        was = standing.get((one.rule, one.subject))
        worst = max((one.severity.value, was.severity if was else one.severity.value), key=rank)
        fresh = Alert(
            rule=one.rule,
            subject=one.subject,
            severity=worst,
            sentence=one.sentence,
            figures=one.figures,
            first_at=now,
            last_at=now,
        )
        made[fresh.key] = fresh if was is None else _going_on(was, fresh)
    return made


def _going_on(was: Alert, now: Alert) -> Alert:
    return replace(was, severity=now.severity, sentence=now.sentence, figures=now.figures, last_at=now.last_at)


def _tallies(
    tallies: Sequence[Tally], before: Mapping[Key, Alert], standing: Mapping[Key, Alert], now: datetime
) -> dict[Key, Alert]:
    """What was counted, as far as it grew since it was looked at last."""
    made: dict[Key, Alert] = {}
    for one in tallies:
        key = (one.rule, one.subject)
        fresh = _growth(one, before.get(key))
        if not fresh:
            continue
        was = standing.get(key)
        count = fresh + (was.count if was else 0)
        begun = was.first_at if was else now
        hour, seen = one.hours[-1]
        alert = was or Alert(
            rule=one.rule,
            subject=one.subject,
            severity=one.severity,
            sentence="",
            figures={},
            first_at=now,
            last_at=now,
        )
        made[key] = replace(
            alert,
            severity=max(alert.severity, one.severity.value, key=rank),
            sentence=f"{many(count, *one.nouns)} in the log of {one.subject} since {moment(begun)}.",
            figures={"count": count},
            count=count,
            seen_hour=hour,
            seen=seen,
            last_at=now,
        )
    return made


def _growth(tally: Tally, before: Alert | None) -> int:
    """How many were not counted yet. An hour's count only grows, and no hour is counted after a later one."""
    if before is None or before.seen_hour is None:
        return sum(count for _, count in tally.hours)
    seen_hour = before.seen_hour
    later = sum(count for hour, count in tally.hours if hour > seen_hour)
    same = sum(count for hour, count in tally.hours if hour == seen_hour)
    return later + max(0, same - before.seen)


def _kind(alert: Alert, known: Known, found: Findings, pace: Pace, now: datetime) -> Kind | None:
    """What is to be said of an alert now, None for nothing. What is over is told of also where it is silenced."""
    is_counted = alert.seen_hour is not None
    patience_s = pace.quiet_s if is_counted else pace.resolve_s
    is_gone = alert.last_at < now
    is_over = is_gone and (now - alert.last_at).total_seconds() >= patience_s
    if is_over and alert.rule not in found.unsure:
        # What was counted did happen: it is told of, however long ago, before it is said to be over.
        is_owed = is_counted and alert.noticed_at is None and not is_silenced(alert.key, known.silences)
        if not is_owed:
            return Kind.RESOLVED
    if is_gone and not is_counted:
        return None
    kind = _begun(alert, pace, now)
    # Asked last: in a storm next to nothing is to be said, and there may be a thousand silences.
    return None if kind is None or is_silenced(alert.key, known.silences) else kind


def _begun(alert: Alert, pace: Pace, now: datetime) -> Kind | None:
    """What is to be said of an alert that is not over, if anybody wants to hear it."""
    if alert.noticed_at is None:
        return Kind.FIRING if alert.hold_until is None or alert.hold_until <= now else None
    assert alert.noticed_severity is not None
    if rank(alert.severity) > rank(alert.noticed_severity):
        return Kind.WORSE
    if alert.count > alert.noticed_count and (now - alert.noticed_at).total_seconds() >= pace.repeat_s:
        return Kind.AGAIN
    return None


def _hold(last: Alert | None, pace: Pace) -> datetime | None:
    """Until when nothing is said of a new alert, because its like was spoken of just before."""
    if last is None:
        return None
    if last.noticed_at is None:
        return last.hold_until
    return last.noticed_at + timedelta(seconds=pace.repeat_s)


def _paced(
    wanted: Sequence[tuple[Kind, Alert]], recent: Recent, pace: Pace, now: datetime
) -> tuple[list[Saying], dict[Key, Alert]]:
    """As many as may be said one by one, and one line for the rest; or, where there was one just now, later."""
    room = max(0, pace.notices_per_minute_max - recent.notices)
    alone, rest = wanted[:room], wanted[room:]
    sayings = [_saying(kind, alert, now) for kind, alert in alone]
    if rest and not recent.summaries:
        sayings.append(_summary(rest))
    else:
        rest = []
    return sayings, {alert.key: _noticed(kind, alert, now) for kind, alert in (*alone, *rest)}


def _noticed(kind: Kind, alert: Alert, now: datetime) -> Alert:
    return replace(
        alert,
        noticed_at=now,
        noticed_severity=alert.severity,
        noticed_count=alert.count,
        resolved_at=now if kind is Kind.RESOLVED else None,
    )


def _saying(kind: Kind, alert: Alert, now: datetime) -> Saying:
    sentence = alert.sentence
    if kind is Kind.AGAIN:
        assert alert.noticed_at is not None
        sentence = f"{alert.count - alert.noticed_count:,} more since {moment(alert.noticed_at)}: {sentence}"
    if kind is Kind.RESOLVED:
        sentence = f"{sentence} It is over."
    return Saying(kind, alert.severity, sentence, _noticed(kind, alert, now))


def _summary(rest: Sequence[tuple[Kind, Alert]]) -> Saying:
    """``12 more alerts: 8 gap_open, 4 late. 3 are over: 3 lagging.``"""
    begun = Counter(alert.rule for kind, alert in rest if kind is not Kind.RESOLVED)
    over = Counter(alert.rule for kind, alert in rest if kind is Kind.RESOLVED)
    told = []
    if begun:
        told.append(f"{many(begun.total(), 'more alert')}: {_by_rule(begun)}.")
    if over:
        told.append(f"{many(over.total(), 'more is over', 'more are over')}: {_by_rule(over)}.")
    severity = max((alert.severity for _, alert in rest), key=rank)
    return Saying(Kind.SUMMARY, severity, f"{' '.join(told)} See 'bridge alerts list'.", None)


def _by_rule(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in sorted(counted.items()))


def severities(minimum: str) -> frozenset[str]:
    """Those that are at least ``minimum``."""
    return frozenset(one.value for one in Severity if rank(one) >= rank(minimum))
