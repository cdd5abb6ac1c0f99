"""A state that is asked for beside a connection: what crosses with the answer is told, or named by a gap. No I/O."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import ManualClock
from bridge.core.channel import Channel, Link, Model, Repair, Told
from bridge.core.errors import VenueError
from bridge.core.event import Event, Kind, digest_of
from bridge.core.sequel import Sequel, Want
from bridge.core.timeline import micros, moment
from bridge.core.venue_clock import VenueClock
from bridge.follow.chained import OUTLIVED, ChainedStream
from bridge.follow.limits import FollowLimits
from bridge.follow.mending import Mender
from bridge.store.reads import Read
from tests.follow.test_superseding import SECOND_US, ZERO, ZERO_US

POSITION = Channel(
    series="position", topic="position", model=Model.MERGE, repair=Repair.SNAPSHOT, id_fields=("ts",), scope="symbol",
    settle_s=0.0,
)  # fmt: skip


def nothing() -> None:
    """Nothing happens meanwhile."""


@dataclass(slots=True)
class Venue:
    """A venue and one who follows its position. ``meanwhile`` happens while an answer is on its way.

    It counts seconds: each thing that happens is one later.
    """

    stream: ChainedStream
    second: int = 0
    meanwhile: Callable[[], None] = nothing
    changed: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    first: int | None = None

    # What the venue does

    def change(self) -> None:
        """The position changes, and who is subscribed hears it."""
        self.second += 1
        self.changed.append(self.second)
        if self.stream.hears:
            self.stream.live(self._told(f"{self.second}", Link(None)))

    async def snapshot(self, channel: Channel) -> Told:
        self.second += 1
        answer = self._told(f"all {self.second}", Link(None, snapshot=True))
        meanwhile, self.meanwhile = self.meanwhile, nothing
        meanwhile()
        return answer

    def connect(self) -> None:
        self.stream.subscribed()

    def cut(self) -> None:
        self.stream.unheard()

    # What the follower does

    async def mend(self, before: Callable[[], object] = nothing) -> None:
        """Ask for what the stream wants. ``before``: what happens between its being due and its turn."""
        mender = Mender(self, ManualClock(ZERO), VenueClock(), self.stream.limits, self._keep)  # type: ignore[arg-type]  # only a snapshot is asked for
        if mender.is_due(self.stream, ZERO_US):
            before()
            await mender.mend(self.stream, self, ZERO_US)  # type: ignore[arg-type]  # no line is needed

    def write(self) -> list[str]:
        """Take what may be told; an event is its id, a gap what it spans."""
        said = []
        while (chapter := self.stream.chapter(100)) is not None:
            self.stream.written(self.stream.position + len(chapter.sayings), 1)
            said += [self._saying(saying.event, saying.data) for saying in chapter.sayings]
        if self.stream.has_room_again:
            self.stream.subscribed()
        self.said += said
        return said

    async def _keep(self, stream_id: int, read: Read) -> None:
        self.reads.append(read)

    def _saying(self, event: Event | None, data: bytes) -> str:
        if event is not None:
            if self.first is None:
                assert event.event_id.startswith("all ")
                self.first = int(event.event_id[4:])
            return event.event_id
        gap = json.loads(data)
        self.gaps.append((_second(gap["from"]), _second(gap["to"])))
        return f"{Kind.GAP} {self.gaps[-1][0]}-{self.gaps[-1][1]}"

    def _told(self, name: str, link: Link) -> Told:
        at = ZERO + timedelta(seconds=self.second)
        return Told("position", Event(name, "position", "", name.encode(), digest_of(name.encode()), None, at), link)

    def account(self) -> None:
        """All that changed since the stream began is told once, or lies in a gap."""
        assert self.first is not None
        for second in self.changed:
            if second > self.first:
                named = any(begin <= second <= end for begin, end in self.gaps)
                assert self.said.count(str(second)) == 1 or (named and str(second) not in self.said), second


def _second(text: str) -> int:
    return (micros(moment(0).fromisoformat(text)) - ZERO_US) // SECOND_US


def venue(*, events_waiting_max: int = 100, waiting_max: int = 100) -> Venue:
    limits = FollowLimits(events_waiting_max=events_waiting_max)
    sequel = Sequel(Model.MERGE, pulls=False, comparable=False, waiting_max=waiting_max)
    return Venue(ChainedStream("po.position", 1, POSITION, limits, sequel))


@pytest.fixture
async def begun() -> Venue:
    """Connected, with its first state told at second 1, and a change at second 2."""
    world = venue()
    world.connect()
    await world.mend()
    world.change()
    assert world.write() == ["all 1", "2"]
    return world


pytestmark = pytest.mark.anyio


async def test_what_changes_while_the_first_state_is_on_its_way_is_told_behind_it() -> None:
    world = venue()
    world.connect()
    world.meanwhile = world.change
    await world.mend()
    assert world.write() == ["all 1", "2"]


async def test_a_state_of_before_the_connection_is_no_help_and_is_asked_for_anew(begun: Venue) -> None:
    def cut_and_connected_again() -> None:
        begun.cut()
        begun.change()  # neither in the answer, nor heard
        begun.connect()
        begun.change()

    begun.cut()
    begun.connect()
    begun.meanwhile = cut_and_connected_again
    await begun.mend()
    assert begun.write() == []
    assert begun.stream.want() is Want.SNAPSHOT
    await begun.mend()
    assert begun.write() == ["gap 2-6", "all 6", "5"]
    assert [read.withheld for read in begun.reads] == [None, OUTLIVED, None]
    start_ms = ZERO_US // 1000
    missing = start_ms + 2_000, start_ms + 5_000  # as far as was known when the answers came
    assert [(read.since, read.reached) for read in begun.reads] == [(None, None), missing, missing]


async def test_a_state_that_comes_while_nobody_hears_makes_nothing_whole(begun: Venue) -> None:
    begun.cut()
    begun.connect()
    begun.meanwhile = begun.cut
    await begun.mend()
    begun.change()
    begun.connect()
    begun.change()
    await begun.mend()
    assert begun.write() == ["gap 2-6", "all 6", "5"]


async def test_nothing_is_asked_for_a_line_that_was_cut_while_its_turn_was_waited_for(begun: Venue) -> None:
    begun.cut()
    begun.connect()
    await begun.mend(before=begun.cut)
    begun.change()  # neither in an answer, nor heard
    begun.connect()
    begun.change()
    assert begun.write() == []
    await begun.mend()
    assert begun.write() == ["gap 2-5", "all 5", "4"]
    assert len(begun.reads) == 2


async def test_what_was_asked_for_in_vain_is_on_record_by_its_name(begun: Venue) -> None:
    def refused() -> None:
        raise VenueError("HTTP 500")

    begun.cut()
    begun.connect()
    begun.meanwhile = refused
    await begun.mend()
    assert [(read.why, read.error) for read in begun.reads[1:]] == [("snapshot", "HTTP 500")]


async def test_nothing_is_asked_for_while_what_is_heard_finds_no_room() -> None:
    world = venue(events_waiting_max=2)
    world.connect()
    await world.mend()
    for _ in range(3):
        world.change()
    assert world.stream.overflowed
    await world.mend()
    world.change()
    assert world.write() == ["all 1", "2", "3"]
    await world.mend()
    assert world.write() == ["gap 3-6", "all 6"]


async def test_a_state_is_asked_for_anew_where_too_much_was_heard_since(begun: Venue) -> None:
    begun.stream.sequel.waiting_max = 1

    def changed_twice() -> None:
        begun.change()
        begun.change()

    begun.cut()
    begun.connect()
    begun.meanwhile = changed_twice
    await begun.mend()
    assert begun.write() == []
    await begun.mend()
    assert begun.write() == ["gap 2-6", "all 6", "5"]


@given(st.integers(0, 2**32))
async def test_whatever_crosses_with_an_answer_every_change_is_told_once_or_named_by_a_gap(seed: int) -> None:
    dice = Random(seed)
    world = venue(events_waiting_max=dice.choice((3, 100)), waiting_max=dice.choice((2, 100)))

    def something() -> None:
        doing = dice.choice((world.change, world.change, world.cut, world.connect, world.write))
        doing()

    def much() -> None:
        for _ in range(dice.randrange(8)):
            something()

    for _ in range(40):
        something()
        if dice.random() < 0.3:
            world.meanwhile = much
            await world.mend(before=dice.choice((nothing, something)))
    world.meanwhile = nothing
    world.connect()
    while world.stream.want() is not Want.NOTHING or world.stream.overflowed:
        world.write()
        await world.mend()
    world.write()
    world.account()
