"""What a demo of several venues comes to, channel by channel: the values that people and programs are shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.channel import Channel, Repair
from bridge.core.event import Kind
from bridge.sim.demo.followed import Followed
from bridge.sim.demo.look import Look
from bridge.sim.demo.scenario import NUMBERED, PLAYBATMAN
from bridge.sim.demo.series import SeriesVerdict
from bridge.sim.demo.verdict import Verdict

VENUE_KINDS = (Kind.EVENT, Kind.LATE, Kind.RECOVERED)
WHY_TOLD: Mapping[Repair, str] = {
    Repair.HISTORY: "unlisted",
    Repair.PULL: "superseded",
    Repair.SNAPSHOT: "superseded",
    Repair.NOTHING: "unlisted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLine:
    """One stream. ``beside`` counts what is held and need not be: present states, snapshots, changes in pieces.
    ``told`` events are named as missing by gaps, ``unnoticed`` ones are lost where nobody can notice.

    ``good`` is None while nobody has judged. ``why`` says why something may be told as missing here.
    """

    stream: str
    assigned: int
    delivered: int
    healed: int
    gaps: int
    open: int
    beside: int = 0
    told: int = 0
    unnoticed: int = 0
    good: bool | None = None
    why: str = ""
    problems: tuple[str, ...] = ()


def lines_of(look: Look, venue: str, numbered: Verdict | None = None) -> Sequence[ChannelLine]:
    """The streams of ``venue`` as they stand; ``numbered`` is the verdict on that of the numbered venue."""
    if venue == PLAYBATMAN:
        return [_numbered_line(look, numbered)]
    followed = next(one for one in look.scenario.followed if one.venue == venue)
    return [_line(look, followed, channel) for channel in followed.channels]


def _numbered_line(look: Look, verdict: Verdict | None) -> ChannelLine:
    states = ("recovered", "void", "lost", "open")
    return ChannelLine(
        stream=NUMBERED,
        assigned=0 if look.venue is None else look.venue.assigned,
        delivered=_delivered(look, NUMBERED),
        healed=look.heard(NUMBERED, "replay")[1],
        gaps=sum(look.gaps(state) for state in states),
        open=look.gaps("open"),
        told=0 if verdict is None else verdict.told_lost,
        good=None if verdict is None else verdict.good,
        problems=() if verdict is None else verdict.problems,
    )


def _line(look: Look, followed: Followed, channel: Channel) -> ChannelLine:
    name = followed.stream(channel)
    gaps = [gap for gap in (look.bridge.in_time if look.bridge is not None else ()) if gap.stream == name]
    verdict: SeriesVerdict | None = look.judged.get(name)
    kinds = {} if look.consumer is None else look.consumer.of(name).kinds
    return ChannelLine(
        stream=name,
        assigned=_assigned(look, followed, channel),
        delivered=_delivered(look, name),
        healed=sum(gap.found for gap in gaps) + kinds.get(Kind.LATE, 0) + kinds.get(Kind.RECOVERED, 0),
        gaps=len(gaps),
        open=sum(gap.state == "open" for gap in gaps),
        beside=0 if verdict is None else max(0, verdict.delivered - _owed(verdict)),
        told=0 if verdict is None else verdict.told_missing,
        unnoticed=0 if verdict is None else verdict.unnoticed,
        good=None if verdict is None else verdict.good,
        why=WHY_TOLD[channel.repair],
        problems=() if verdict is None else verdict.problems,
    )


def _assigned(look: Look, followed: Followed, channel: Channel) -> int:
    state = look.markets.get(followed.venue)
    count = None if state is None else state.series.get(channel.series)
    return 0 if count is None else count.assigned


def _owed(verdict: SeriesVerdict) -> int:
    """How many entries of the venue's are accounted for by what it assigned."""
    return verdict.assigned - verdict.told_missing - verdict.unnoticed - verdict.missing


def _delivered(look: Look, stream: str) -> int:
    kinds = {} if look.consumer is None else look.consumer.of(stream).kinds
    return sum(kinds.get(kind, 0) for kind in VENUE_KINDS)


def trouble_of(look: Look, venue: str) -> str | None:
    """What is wrong with the venue's lines just now."""
    state = look.venue if venue == PLAYBATMAN else look.markets.get(venue)
    if state is None:
        return None
    if state.down:
        return "DOWN"
    return "silent" if state.silent else "cut" if not state.sockets else None


def harm_of(look: Look, venue: str) -> Iterator[tuple[str, int]]:
    """What the venue did to the bridge so far, in words, and how often."""
    if venue == PLAYBATMAN:
        if look.venue is not None:
            told = look.venue.deliveries
            yield "webhooks lost", told.get("lost", 0) + told.get("dropped", 0)
            yield "sent twice", told.get("duplicated", 0)
            yield "connected", look.venue.sockets_accepted
        return
    state = look.markets.get(venue)
    if state is None:
        return
    yield "connected", state.socket_counts.get("accepted", 0)
    for word in ("dropped", "duplicated", "reordered", "corrupted"):
        yield word, state.wire_counts.get(word, 0)
    yield "throttled", state.rest_counts.get("throttle", 0) + state.rest_counts.get("ban", 0)
    yield "5xx", state.rest_counts.get("broken", 0)
