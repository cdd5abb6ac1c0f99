"""The rules: from what the store knows at one moment to what needs a person. Pure, one function a rule.

A further rule is a function and a line of ``RULES``; what it looks at joins ``Watched``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from bridge.alert.values import Condition, Findings, Severity, Tally, Thresholds
from bridge.alert.words import harmless, many, moment, size, span
from bridge.core.destination import matcher
from bridge.store.watched import Behind, Remarked, Watched

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
DATABASE_WARNING_SHARE = 0.8
DATABASE_CRITICAL_SHARE = 0.95

Finding = Condition | Tally
Look = Callable[[Watched, Thresholds, datetime], Iterable[Finding]]


class Rule(NamedTuple):
    """A rule, and which kind of ``Watched`` it reads: where that was cut, nothing follows from what is not there."""

    look: Look
    reads: str


def findings(watched: Watched, limits: Thresholds, now: datetime) -> Findings:
    """What all rules that are wanted find."""
    wanted = {name: rule for name, rule in RULES.items() if name not in limits.off}
    found = [one for rule in wanted.values() for one in rule.look(watched, limits, now)]
    return Findings(
        conditions=tuple(one for one in found if isinstance(one, Condition)),
        tallies=tuple(one for one in found if isinstance(one, Tally)),
        unsure=frozenset(name for name, rule in wanted.items() if rule.reads in watched.cut),
    )


def _gap_open(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for gap in watched.gaps:
        age_s = (now - gap.oldest_at).total_seconds()
        if age_s >= limits.gap_open_s:
            sentence = f"{gap.stream} has {many(gap.spans, 'open gap')}, the oldest for {span(age_s)}."
            yield Condition("gap_open", gap.stream, WARNING, sentence, {"gaps": gap.spans, "oldest_s": round(age_s)})


def _gap_deadline(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for gap in watched.gaps:
        if gap.deadline_at is None or gap.spent is None or gap.spent < limits.gap_warning_share:
            continue
        severity = CRITICAL if gap.spent >= limits.gap_critical_share else WARNING
        left_s = (gap.deadline_at - now).total_seconds()
        share = f"{min(gap.spent, 1.0):.0%}".replace("%", " %")
        sentence = (
            f"A gap of {gap.stream} has used {share} of its time:"
            f" the venue may begin to forget it {f'in {span(left_s)}' if left_s > 0 else 'now'}"
            f" ({moment(gap.deadline_at)})."
        )
        figures = {"spent": round(gap.spent, 3), "deadline_at": gap.deadline_at}
        yield Condition("gap_deadline", gap.stream, severity, sentence, figures)


def _loss(watched: Watched, _limits: Thresholds, _now: datetime) -> Iterator[Tally]:
    # Where a snapshot mends what was missed, only the way to it is lost.
    yield from _tallies("loss", watched, CRITICAL, ("loss", "losses"), lambda one: one.gaps)


def _late(watched: Watched, _limits: Thresholds, _now: datetime) -> Iterator[Tally]:
    yield from _tallies("late", watched, WARNING, ("late event", "late events"), lambda one: one.late)


def _conflict(watched: Watched, _limits: Thresholds, _now: datetime) -> Iterator[Tally]:
    yield from _tallies("conflict", watched, WARNING, ("conflict", "conflicts"), lambda one: one.conflicts)


def _audit(watched: Watched, _limits: Thresholds, _now: datetime) -> Iterator[Condition]:
    for one in watched.audits:
        found = [
            f"{many(one.fresh, 'event')} that we had missed" if one.fresh else "",
            f"{many(one.conflicts, 'event')} with other content" if one.conflicts else "",
            f"{many(one.unlisted, 'event')} of ours that the venue does not list" if one.unlisted else "",
        ]
        told = ", ".join(part for part in found if part)
        sentence = f"The audit of {one.stream} that ended at {moment(one.ended_at)} found {told}."
        figures = {"fresh": one.fresh, "conflicts": one.conflicts, "unlisted": one.unlisted}
        yield Condition("audit", one.stream, CRITICAL if one.unlisted else WARNING, sentence, figures)


def _tallies(
    rule: str, watched: Watched, severity: Severity, nouns: tuple[str, str], count: Callable[[Remarked], int]
) -> Iterator[Tally]:
    """What was counted of each stream, its hours in order."""
    hours: dict[str, list[tuple[datetime, int]]] = {}
    mended: set[str] = set()
    for one in watched.remarks:
        if count(one):
            hours.setdefault(one.stream, []).append((one.hour, count(one)))
        if one.repair == "snapshot":
            mended.add(one.stream)
    for stream, counted in hours.items():
        yield Tally(rule, stream, WARNING if stream in mended else severity, nouns, tuple(sorted(counted)))


def _unmatched(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for one in watched.doubts:
        age_s = 0.0 if one.unmatched_since is None else (now - one.unmatched_since).total_seconds()
        if one.unmatched and age_s >= limits.unmatched_s:
            sentence = (
                f"{one.stream} has {one.unmatched:,} deliveries without a number that match no event,"
                f" the oldest for {span(age_s)}."
            )
            figures = {"deliveries": one.unmatched, "oldest_s": round(age_s)}
            yield Condition("unmatched", one.stream, WARNING, sentence, figures)


def _frozen(watched: Watched, _limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for one in watched.doubts:
        if one.suspect_at is not None:
            age_s = (now - one.suspect_at).total_seconds()
            sentence = (
                f"{one.stream} is frozen for {span(age_s)}: its numbering is in doubt, and nothing is told of it."
            )
            yield Condition("frozen", one.stream, CRITICAL, sentence, {"suspect_at": one.suspect_at})


def _silent(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for one in watched.tellings:
        if one.source not in limits.sources:
            continue
        state = None if one.connection is None else one.connection.state_at(now)
        since = one.last_at
        if since is None and one.connection is not None and state != "connected":
            since = one.connection.changed_at
        silent_s = 0.0 if since is None else (now - since).total_seconds()
        if since is None or silent_s < limits.sources[one.source]:
            continue
        socket = "" if state is None else f" Its socket is {state}."
        sentence = f"{one.source} has told nothing by itself for {span(silent_s)}.{socket}"
        yield Condition("silent", one.source, WARNING, sentence, {"silent_s": round(silent_s), "socket": state})


def _stopped(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for one in watched.takers:
        has_left = one.of_file and one.destination not in limits.takers
        if one.state == "stopped" and not has_left:
            why = f": {harmless(one.reason)}" if one.reason else ""
            sentence = f"{one.destination} is stopped for {span((now - one.changed_at).total_seconds())}{why}."
            yield Condition("stopped", one.destination, CRITICAL, sentence, {"stopped_at": one.changed_at})


def _lagging(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    for name, rows in _behind(watched, limits).items():
        oldest_s = max((now - row.oldest_at).total_seconds() for row in rows)
        if rows[0].state != "active" or oldest_s < limits.lagging_s:
            continue
        entries = sum(row.entries for row in rows)
        streams = many(len(rows), "stream")
        sentence = f"{name} has not taken {entries:,} entries of {streams}, the oldest for {span(oldest_s)}."
        figures = {"entries": entries, "streams": len(rows), "oldest_s": round(oldest_s)}
        yield Condition("lagging", name, WARNING, sentence, figures)


def _expiring(watched: Watched, limits: Thresholds, now: datetime) -> Iterator[Condition]:
    if limits.keep_s is None:
        return
    for name, rows in _behind(watched, limits).items():
        oldest_s = max((now - row.oldest_at).total_seconds() for row in rows)
        if oldest_s < limits.keep_s * limits.expiring_share:
            continue
        left_s = limits.keep_s - oldest_s
        when = f"in {span(left_s)}" if left_s > 0 else "at any moment"
        sentence = f"{name} has not taken what retention deletes {when}: {many(len(rows), 'stream')}."
        yield Condition("expiring", name, CRITICAL, sentence, {"left_s": round(left_s), "streams": len(rows)})


def _behind(watched: Watched, limits: Thresholds) -> Mapping[str, list[Behind]]:
    """By destination, what it still wants; whoever left the file, and streams it no longer asks for, are left out."""
    wants = {name: matcher(globs) for name, globs in limits.takers.items()}
    rows: dict[str, list[Behind]] = {}
    for one in watched.behind:
        if one.globs is not None and one.destination not in wants:
            wants[one.destination] = matcher(one.globs)
        wanted = wants.get(one.destination)
        if wanted is not None and wanted(one.stream):
            rows.setdefault(one.destination, []).append(one)
    return rows


def _database(watched: Watched, limits: Thresholds, _now: datetime) -> Iterator[Condition]:
    if limits.database_bytes_max is None or watched.database_bytes is None:
        return
    share = watched.database_bytes / limits.database_bytes_max
    if share >= DATABASE_WARNING_SHARE:
        of = f"{size(watched.database_bytes)} of {size(limits.database_bytes_max)}"
        severity = CRITICAL if share >= DATABASE_CRITICAL_SHARE else WARNING
        yield Condition(
            "database", "database", severity, f"The database has {of}.", {"bytes": watched.database_bytes}
        )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "gap_open": Rule(_gap_open, "gaps"),
        "gap_deadline": Rule(_gap_deadline, "gaps"),
        "loss": Rule(_loss, "remarks"),
        "late": Rule(_late, "remarks"),
        "conflict": Rule(_conflict, "remarks"),
        "audit": Rule(_audit, "audits"),
        "unmatched": Rule(_unmatched, "doubts"),
        "frozen": Rule(_frozen, "doubts"),
        "silent": Rule(_silent, "tellings"),
        "stopped": Rule(_stopped, "takers"),
        "lagging": Rule(_lagging, "behind"),
        "expiring": Rule(_expiring, "behind"),
        "database": Rule(_database, "database"),
    }
)
