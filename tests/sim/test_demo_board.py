"""What people see of a demo of several venues: drawn from values, live and when it is over."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from bridge.core.event import Kind
from bridge.sim.demo.board import draw_board
from bridge.sim.demo.course import Ended
from bridge.sim.demo.followed import CRYPTOMUS
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.markets import MarketState, SeriesCount
from bridge.sim.demo.parts import Bridge, ConsumerState, StreamState
from bridge.sim.demo.plain import line
from bridge.sim.demo.scenario import VENUES, Scenario
from bridge.sim.demo.series import SeriesVerdict
from bridge.sim.demo.summary import summarise
from bridge.store.overview import GapRow, Overview

NOW = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
STATE = MarketState(
    series={channel.series: SeriesCount(assigned=1_050, optional=3, swallowed=2) for channel in CRYPTOMUS.channels},
    sockets=0, socket_counts={"accepted": 4}, wire_counts={"dropped": 9}, rest_counts={"throttle": 2, "ban": 1},
    down=False, silent=False,
)  # fmt: skip


def verdict(stream: str, **found: int) -> SeriesVerdict:
    none = dict.fromkeys(
        ("missing", "told_missing", "unnoticed", "held_twice", "unknown", "wrong_time", "out_of_order"), 0
    )
    counts = {"assigned": 1_050, "delivered": 1_050, "gaps": 1, **none, **found}
    wrong = (f"{stream}: 1 assigned, and neither delivered nor named by a gap",) if counts["missing"] else ()
    return SeriesVerdict(stream=stream, examples=(), problems=wrong, **counts)


def look(**judged: SeriesVerdict) -> Look:
    gap = GapRow(1, "cm.deal", 1, 5, 9, "open", NOW, None, 1, None, None, 0, 0, None, "time")
    healed = gap._replace(id=2, state="recovered", closed_at=NOW, found=31)
    state = StreamState(last=1_046, held=1_046, kinds={Kind.EVENT: 1_040, Kind.LATE: 5, Kind.GAP: 1})
    return Look(
        Scenario(venues=("cryptomus",)),
        Stage.TRAFFIC,
        3.0,
        bridge=Bridge(Overview((), {}, (), (), ()), (), {}, (gap, healed)),
        consumer=ConsumerState(1_050, 0, 0, {"cm.deal": state}),
        markets={"cryptomus": STATE},
        judged=judged,
    )


def seen(drawn: RenderableType) -> str:
    console = Console(width=104)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def row(screen: str, channel: str) -> list[str]:
    return next(line for line in screen.splitlines() if channel in line).split()


def test_the_board_shows_of_each_channel_what_was_assigned_delivered_and_healed() -> None:
    screen = seen(draw_board(look(), height=40))
    assert "cryptomus ○ cut" in screen
    assert row(screen, "cm.deal") == ["cm.deal", "1,050", "1,045", "36", "2", "·", "healing"]
    assert row(screen, "cm.order")[-1] == "flowing"


def test_the_board_says_where_the_page_is() -> None:
    assert "http://127.0.0.1:4711/" in seen(draw_board(replace(look(), page="http://127.0.0.1:4711/"), height=40))


def test_a_low_terminal_gets_a_line_for_each_venue() -> None:
    low = replace(look(), scenario=Scenario(venues=VENUES))
    assert len(seen(draw_board(low, height=24)).splitlines()) <= 24
    assert "1 gaps open" in seen(draw_board(low, height=24))
    assert "cm.deal" in seen(draw_board(low, height=60))


def test_what_is_told_where_there_is_no_terminal_is_one_line() -> None:
    assert line(look()) == "  3.0 s  traffic   cryptomus 1045/5250 [1 gaps open, cut]"


def over(**found: int) -> Ended:
    judged = {name: verdict(name) for channel in CRYPTOMUS.channels if (name := CRYPTOMUS.stream(channel))}
    judged["cm.deal"] = verdict("cm.deal", **found)
    ended = look(**judged)
    assert ended.bridge is not None
    ended = replace(ended, bridge=replace(ended.bridge, in_time=ended.bridge.in_time[1:]))
    return Ended(None, ended, None, 31.0, judged)


def test_when_it_is_over_each_channel_has_its_verdict_and_the_whole_has_one() -> None:
    screen = seen(summarise(over(delivered=1_043, told_missing=7, unnoticed=2)))
    assert " ".join(row(screen, "cm.deal")[5:]) == "7 PROVEN unlisted, 2 unseen, 2 beside"
    assert "connected 4, dropped 9, throttled 3" in screen
    assert "PROVEN   5 channels, 5,250 events: each is held once, in its order, or is named by a gap (7)" in screen
    assert "NOT PROVEN" not in screen


@pytest.mark.parametrize("unsettled", [None, "1 open gaps of cm.deal"])
def test_when_it_is_over_whatever_is_wrong_is_named(unsettled: str | None) -> None:
    screen = seen(summarise(replace(over(missing=1), unsettled=unsettled)))
    assert " ".join(row(screen, "cm.deal")[6:]) == "NOT PROVEN"
    assert "NOT PROVEN   1 of 5 channels" in screen
    assert "· cm.deal: 1 assigned, and neither delivered nor named by a gap" in screen
    assert ("not settled in time" in screen) == (unsettled is not None)
