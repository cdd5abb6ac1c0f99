"""One stream that is ordered by time: who hears it now, where its hole is, and what may be told. No I/O, no clock.

All times are the venue's, in microseconds since 1970.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from bridge.core.channel import Channel, Model, Repair, Told
from bridge.core.event import Kind, Transport
from bridge.core.span import Span
from bridge.core.timeline import Heard, Step, Timeline, micros, moment
from bridge.follow import words
from bridge.follow.hole import Hole, confirmed
from bridge.follow.limits import FollowLimits
from bridge.follow.pace import Pace
from bridge.follow.twins import Twins
from bridge.follow.values import Values
from bridge.ingest.followed import Brought, Chapter, GapTurn, Saying
from bridge.sources.market import Recalled

SECOND_US = 1_000_000
SETTLE_MAX_US = 60 * SECOND_US


@dataclass(slots=True)
class TimedStream:
    """What a follower knows of one stream.

    ``hears_from_us`` is from when on the present connection hears everything, None while none does. ``timeline`` is
    None until the stream has begun. ``in_pieces``: its hole holds more than there is room for at a time. ``brought``
    is how many events the last answer to a hole had that were new. ``audited`` goes on record with the next chapter.
    """

    name: str
    stream_id: int
    channel: Channel
    limits: FollowLimits
    position: int = 0
    timeline: Timeline | None = None
    gap_id: int | None = None
    hears_from_us: int | None = None
    settle_us: int = 0
    late: int = 0
    overflowed: bool = False
    _hole: Hole | None = None
    _twins: Twins = field(default_factory=Twins)
    _pace: Pace = field(default_factory=Pace)
    _values: Values = field(init=False)
    _heard: Counter[str] = field(default_factory=Counter)
    _dropped: int = 0
    _began_us: int | None = None
    _asked: Span | None = None
    _room_until_us: int | None = None
    in_pieces: bool = False
    brought: int = 0
    audited: list[Brought] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._values = Values(self.limits.values_max)
        self.settle_us = int(self.channel.settle_s * SECOND_US)

    def resume(self, hole: Hole | None) -> None:
        """Go on with the gap that was open when the last follower stopped."""
        self._hole = hole
        self.gap_id = None if hole is None else hole.gap_id

    # What is heard

    def subscribed(self, now_us: int) -> None:
        """A connection hears the channel from now on; the venue's clock shows at least ``now_us``."""
        self._twins = Twins()
        self.overflowed, self.in_pieces, self._room_until_us = False, False, None
        self.hears_from_us = now_us + int(self.limits.pad_s * SECOND_US)
        if self.timeline is None:
            self._began_us = self.hears_from_us
            self.timeline = Timeline(self._began_us, self.limits.events_waiting_max, self.limits.remembered_max)
            self.timeline.forget_before(self._began_us)

    def unheard(self) -> None:
        """No connection hears the channel any more."""
        self.hears_from_us = None

    def live(self, told: Told) -> None:
        """Take in what a connection says. Once something had no room, all is dropped until there is room again."""
        if self.overflowed:
            self._heard[Transport.WEBSOCKET.value] += 1
            self._dropped += 1
            return
        self._take(self._twins.tell_apart(told) if self._has_twins else told, Transport.WEBSOCKET)

    def recalled(self, rows: Sequence[Told], *, before_us: int) -> list[int]:
        """Take in a list's answer as far as there is room, the oldest first; when those happened, of the rows before
        a time, that were new."""
        twins, fresh = Twins(), []
        timed = ((micros(told.event.occurred_at), told) for told in rows if told.event.occurred_at is not None)
        for at_us, told in sorted(timed, key=itemgetter(0)):
            if self._room_until_us is not None and at_us >= self._room_until_us:
                break
            is_new = self._take(twins.tell_apart(told) if self._has_twins else told, Transport.REPLAY)
            fresh += [at_us] if is_new and at_us < before_us else []
        return fresh

    def alive(self, until_us: int) -> None:
        """Everything that the venue had said before ``until_us`` was heard."""
        self._pace.shows(until_us)
        if self.timeline is not None and self.hears_from_us is not None:
            self.timeline.cover(self.hears_from_us, until_us - self.settle_us)

    @property
    def _has_twins(self) -> bool:
        return self.channel.model is Model.NONE

    @property
    def has_room_again(self) -> bool:
        """Whether it stopped hearing for want of room, and need not any longer."""
        waits = 0 if self.timeline is None else self.timeline.waiting
        return self.overflowed and not self.in_pieces and waits * 2 < self.limits.events_waiting_max

    @property
    def awaits_writing(self) -> bool:
        """Whether there was no room, and there will be once what waits is written."""
        line = self.timeline
        return self.overflowed and line is not None and (line.oldest_us or line.reached_us) < line.reached_us

    @property
    def awaits_proof(self) -> bool:
        """Whether an event waits for nothing but the proof that it is its turn."""
        if self.timeline is None or self.hears_from_us is None:
            return False
        return self.timeline.waiting > 0 and self.timeline.reached_us >= self.hears_from_us

    def _take(self, told: Told, transport: Transport) -> bool:
        self._heard[transport.value] += 1
        if self.timeline is None or told.event.occurred_at is None:
            return False
        at_us = micros(told.event.occurred_at)
        is_new = self._keep(told, transport, at_us)
        if is_new and at_us < self.timeline.frontier_us:
            self.late += 1
            if transport is Transport.WEBSOCKET:  # the venue takes longer to tell than was believed
                self.settle_us = min(SETTLE_MAX_US, self.settle_us + 2 * (self.timeline.frontier_us - at_us))
        return is_new

    def _keep(self, told: Told, transport: Transport, at_us: int) -> bool:
        assert self.timeline is not None
        try:
            return self.timeline.hear(told, transport, at_us=at_us)
        except OverflowError:
            self.overflowed = True  # a hole in time from here on, to be asked for when there is room
            self.unheard()
            self._dropped += 1
            if transport is Transport.WEBSOCKET:
                return False
        # What is older comes first: what is let go for it is asked for again in the next piece.
        self._dropped += self.timeline.waiting - 1
        self._room_until_us = self.timeline.retreat()
        self._dropped -= self.timeline.waiting
        return at_us < self._room_until_us and self.timeline.hear(told, transport, at_us=at_us)

    # What is missing

    def hole(self, now_us: int) -> Span | None:
        """The first stretch that is not proven and will not be by what is heard now; None where there is none."""
        if self.timeline is None:
            return None
        self._pace.shows(now_us)
        start_us = self.timeline.reached_us
        end_us = now_us - self.lag_us if self.hears_from_us is None else self.hears_from_us
        end_us = min(end_us, self.timeline.covered_from_us(start_us) or end_us)
        if end_us <= start_us:
            return None
        if self._hole is None:
            self._hole = Hole(start_us, end_us, gap_id=self.gap_id)
        self._hole.widen(end_us)
        return Span(start_us, end_us)

    @property
    def lag_us(self) -> int:
        """How long after an event the lists may still lack it."""
        return int(self.channel.lag_s * SECOND_US)

    def answered(self, hole: Span, recalled: Recalled, *, asked_us: int) -> str | None:
        """Take in a list's answer to a hole, asked for at ``asked_us``; why to ask for it again, None if not."""
        assert self.timeline is not None
        assert self._hole is not None
        self._hole.reads += 1
        if recalled.superseding:
            self._supersede(hole, recalled.told)
            return None
        self.brought = len(self.recalled(recalled.told, before_us=hole.stop))
        agree = confirmed(asked_before=self._asked == hole, brought_nothing=self.brought == 0)
        self._asked = hole
        settled = asked_us >= hole.stop + self.lag_us
        self._hole.withheld = None if settled and agree else "stable" if settled else "settled"
        if self._hole.withheld is not None:
            return self._hole.withheld
        self._asked = None
        stop_us = hole.stop if self._room_until_us is None else min(hole.stop, self._room_until_us)
        self.in_pieces, self._room_until_us = stop_us < hole.stop, None
        proven_us = stop_us if recalled.complete_from is None else max(hole.start, micros(recalled.complete_from))
        self.timeline.cover(proven_us := min(proven_us, stop_us), stop_us)
        evidence: dict[str, object] = {"answered_from": words.iso(proven_us), "reads": self._hole.reads}
        self.timeline.give_up(hole.start, proven_us, reason="lost", evidence=evidence)
        return None

    def withhold(self, why: str) -> None:
        """The hole stays open, and this is why."""
        if self._hole is not None:
            self._hole.withheld = why

    def give_up(self, hole: Span, cause: str) -> None:
        """Nobody can be asked for what is missing."""
        assert self.timeline is not None
        reason = "superseded" if self.channel.repair is Repair.SNAPSHOT else "lost"
        self.timeline.give_up(hole.start, hole.stop, reason=reason, evidence={"cause": cause})

    def _supersede(self, hole: Span, state: Sequence[Told]) -> None:
        """The present state stands for whatever was missed: it is told behind the gap's entry, in its own time.

        A list lags: what the line told since may be newer.
        """
        assert self.timeline is not None
        self.timeline.give_up(hole.start, hole.stop, reason="superseded", evidence={"rows": len(state)})
        for told in state:
            self._heard[Transport.REPLAY.value] += 1
            occurred_us = hole.stop if told.event.occurred_at is None else micros(told.event.occurred_at)
            self._keep(told, Transport.REPLAY, max(hole.start, occurred_us))

    # What is told

    @property
    def unfinished(self) -> bool:
        """Whether something of it is not in the log yet, and may be without more being heard."""
        return self._hole is not None or (self.timeline is not None and self.timeline.waiting > 0)

    @property
    def settled_us(self) -> int | None:
        """Everything before this is in what was handed out by ``chapter``."""
        return None if self.timeline is None else self.timeline.frontier_us

    def chapter(self, limit: int) -> Chapter | None:
        """What may be written now, and is to be written before the next; None where there is nothing."""
        if self.timeline is None:
            return None
        self._pace.moves(self.timeline.frontier_us)
        steps = self.timeline.settle(limit)
        sayings = [saying for step in steps for saying in self._sayings(step)]
        gaps = self._turns()
        if not sayings and not gaps and not self._dropped and self._began_us is None:
            return None
        chapter = Chapter(
            position=self.position,
            sayings=sayings,
            began_at=None if self._began_us is None else moment(self._began_us),
            settled_until=moment(self.timeline.frontier_us),
            heard=self._heard,
            dropped=self._dropped,
            gaps=gaps,
            lag_us=self._pace.take(),
            behind_us=None if self._hole is None else self._pace.behind_us(self.timeline.frontier_us),
            brought=self.audited,
        )
        self._heard, self._dropped, self._began_us, self.audited = Counter(), 0, None, []
        return chapter

    def written(self, position: int, gap_id: int | None) -> None:
        """The chapter is in the log, which ends at ``position``; ``gap_id`` is the gap that is open on record."""
        self.position = position
        self.gap_id = gap_id
        if self._hole is not None:
            self._hole.gap_id = gap_id

    def _turns(self) -> list[GapTurn]:
        if (hole := self._hole) is None or self.timeline is None:
            return []
        if self.timeline.frontier_us >= hole.last_us:
            self._hole = None
            return [hole.end()]
        return [hole.turn()] if hole.unsaid else []

    def _sayings(self, step: Step) -> list[Saying]:
        if not isinstance(step, Heard):
            self._values.forget()
            if self._hole is not None:
                self._hole.lose(len(step.span), step.reason)
            return [words.of_missing(step)]
        event = step.told.event
        saying = Saying(step.kind, event, step.transport)
        if step.kind is Kind.EVENT and step.transport is Transport.REPLAY and self._hole is not None:
            self._hole.found[step.transport.value] += 1
        if step.told.step is None or step.kind is not Kind.EVENT or event.occurred_at is None:
            return [saying]
        at_us = micros(event.occurred_at)
        key, before, _ = step.told.step
        known = self._values.follow(step.told.step, at_us)
        return [saying] if known is None else [words.of_broken_value(key, known[0], before, known[1], at_us), saying]
