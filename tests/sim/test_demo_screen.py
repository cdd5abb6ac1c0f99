"""What people see of a demo: drawn from values, at every stage."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Console, RenderableType

from bridge.sim.demo.course import Ended
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.parts import Bridge, ConsumerState, StreamState, VenueState
from bridge.sim.demo.plain import PlainLines
from bridge.sim.demo.scenario import NUMBERED, Scenario
from bridge.sim.demo.screen import GAPS_SHOWN, chosen, draw
from bridge.sim.demo.summary import summarise
from bridge.sim.demo.verdict import Verdict
from bridge.store.overview import Cursor, GapRow, Overview
from bridge.store.stance import NONE_MISSING, Stance
from bridge.store.streams import Stream

NOW = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
STREAM = Stream(
    id=1, name=NUMBERED, source="pb", numbering="venue", epoch=1, base=1, frontier=41, head=50, position=12,
    chain=bytes(32), epoch_began_at=None, anchored_at=None, stalled_at=None, gaps_open=1, unmatched=0, settle_s=2.0,
    mismatches=0, suspect_at=None,
)  # fmt: skip
CURSOR = Cursor("ledger", NUMBERED, 9, 12, 0, None, None, NOW, NOW - timedelta(milliseconds=40))
VENUE = VenueState(
    head=50, assigned=20, deliveries={"accepted": 15, "lost": 4}, sockets=0, sockets_accepted=2, replay_requests=3,
    down=True, silent=False,
)  # fmt: skip
CONSUMER = ConsumerState(14, 0, 0, {NUMBERED: StreamState(last=9, held=9, duplicates=1)})


def gap(number: int, state: str, *, healed_by: str | None = None) -> GapRow:
    closed = None if state == "open" else NOW
    found = 1 if state == "recovered" else 0
    opened = NOW - timedelta(seconds=2.5)
    return GapRow(
        number, NUMBERED, 1, number, number, state, opened, None, 1, None, closed, found, 0, healed_by, "sequence"
    )


def look(*gaps: GapRow, frontier: int = 41) -> Look:
    stance = Stance(stream=replace(STREAM, frontier=frontier), follow=None, gaps=None, missing=NONE_MISSING)
    overview = Overview((stance,), {}, (), (), (CURSOR,))
    counts = {state: sum(1 for each in gaps if each.state == state) for state in ("open", "recovered", "void")}
    return Look(Scenario(), Stage.TRAFFIC, 3.0, venue=VENUE, bridge=Bridge(overview, gaps, counts), consumer=CONSUMER)


def seen(drawn: RenderableType) -> str:
    console = Console(width=104, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def test_the_screen_tells_of_the_venue_the_gaps_and_what_waits() -> None:
    screen = seen(draw(look(gap(31, "recovered", healed_by="replay"), gap(42, "open")), NOW))
    for told in ("DOWN", "1 event healed by replay", "asking the replay", "3 entries, the first for 40 ms", "2.5 s"):
        assert told in screen


def test_it_says_where_the_page_is_on_the_screen_and_once_in_plain_lines() -> None:
    address = "http://127.0.0.1:4711/"
    shown, said = replace(look(), page=address), list[str]()
    assert address in seen(draw(shown, NOW))
    lines = PlainLines(said.append)
    for elapsed_s in (0.0, 2.1):
        lines.show(replace(shown, elapsed_s=elapsed_s))
    assert [address in line for line in said] == [True, False, False]


def test_the_screen_is_as_high_with_one_gap_as_with_many() -> None:
    one, many = look(gap(42, "open")), look(*(gap(number, "open") for number in range(400, 100, -1)))
    assert len(seen(draw(one, NOW)).splitlines()) == len(seen(draw(many, NOW)).splitlines()) <= 24


def test_what_healed_is_shown_however_much_else_there_is() -> None:
    voids = [gap(number, "void") for number in range(300, 100, -1)]
    waiting = [gap(number, "open") for number in range(400, 300, -1)]
    shown = chosen([*waiting, *voids, gap(50, "recovered", healed_by="replay")])
    assert len(shown) == GAPS_SHOWN
    assert shown[0].first == 50
    assert next(each.first for each in shown if each.state == "open") == 301
    assert [each.first for each in shown] == sorted(each.first for each in shown)


def test_all_has_settled_only_when_it_is_proven_closed_and_delivered() -> None:
    assert look().unsettled() == "the proof up to 50, from 41"
    assert look(gap(42, "open"), frontier=51).unsettled() == "1 open gaps"
    assert look(frontier=51).unsettled() == f"the delivery of {NUMBERED}: 9 of 12"


def test_the_summary_names_what_is_wrong() -> None:
    good = Verdict(20, 20, 0, 0, 0, 0, 0, 0, ())
    bad = Verdict(20, 19, 1, 0, 0, 0, 0, 0, ("1 assigned by the venue, and not delivered",))
    assert "all 20 events" in seen(summarise(Ended(good, look(), None, 9.0)))
    told = seen(summarise(Ended(bad, look(), "1 open gaps", 9.0)))
    assert "NOT PROVEN" in told
    assert "1 assigned by the venue, and not delivered" in told
    assert "not settled in time: 1 open gaps" in told


def test_plain_lines_come_at_every_stage_and_now_and_then() -> None:
    said: list[str] = []
    lines = PlainLines(said.append)
    lines.show(Look(Scenario(), Stage.STARTING, 0.0))
    for elapsed_s in (0.0, 0.2, 1.9, 2.1, 2.3):
        lines.show(replace(look(), elapsed_s=elapsed_s))
    assert len(said) == 3
    assert "assigned 20  proven to 40 of 50" in said[-1]
    assert "[venue down]" in said[-1]
