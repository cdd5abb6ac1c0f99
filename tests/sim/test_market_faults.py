"""The faults of a market's venue: what is refused, and what each does to frames and calls. No network."""

from collections import Counter
from datetime import timedelta
from random import Random

import msgspec
import pytest

from bridge.clock import ManualClock
from bridge.sim.market import Answer, Asked, Assigned, Faults, Push, Scene, SimConfig, Stage, Way
from bridge.sim.market.facts import Fill
from bridge.sim.market.weather import Weather
from bridge.sim.market.wire import HOLD_S_MAX, Wire, spoilt
from tests.sim.market_dialect import KIT, SHAPE, START, Plain, at


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop_rate": 1.1},
        {"lag_rate": -0.1},
        {"silence_s": -1},
        {"skew_s": 90_000},
        {"reorder_frames_max": 0},
        {"close_code": 200},
        {"drop_rate": "often"},
        {"no_such": 1},
    ],
)
def test_faults_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults().patched(wrong)


def test_every_draw_is_within_range_and_heavy_is_not_nothing() -> None:
    for seed in range(200):
        Faults.draw(Random(seed))
    assert Faults.heavy() != Faults()


def push(nth: int, series: str = "trade.A") -> Push:
    return Push(series, series, msgspec.json.encode({"nth": nth}), (Assigned(str(nth), at(0)),))


def carried(faults: Faults, *, seed: int = 1, series: str = "trade.A", frames: int = 1_000) -> list[int]:
    """The numbers of the frames in the order in which they leave, one each millisecond."""
    wire, left = Wire(seed=seed), []
    for nth in range(frames):
        left += wire.carry([push(nth, series)], at(nth / 1000), faults)[0]
    left += wire.carry([], at(frames), faults)[0]
    assert wire.held == 0
    return [msgspec.json.decode(one.frame, type=dict[str, int])["nth"] for one in left]


def test_a_wire_without_faults_changes_nothing() -> None:
    assert carried(Faults()) == list(range(1_000))


def test_the_same_seed_is_the_same_fate_and_each_series_has_its_own() -> None:
    faults = Faults(drop_rate=0.2, reorder_rate=0.2, delay_rate=0.1, delay_max_s=0.1, duplicate_rate=0.1)
    assert carried(faults) == carried(faults)
    assert carried(faults) != carried(faults, seed=2)
    assert carried(faults) != carried(faults, series="trade.B")


def test_dropped_frames_are_named_as_swallowed() -> None:
    wire = Wire(seed=1)
    left, swallowed = wire.carry([push(nth) for nth in range(500)], at(0), Faults(drop_rate=0.3))
    assert 0 < len(swallowed) == wire.counts["dropped"] == 500 - len(left)
    assert {items[0].event_id for items in swallowed}.isdisjoint(one.items[0].event_id for one in left)


def test_doubled_frames_come_twice_and_none_is_lost() -> None:
    times = Counter(carried(Faults(duplicate_rate=0.3)))
    assert set(times) == set(range(1_000))
    assert set(times.values()) == {1, 2}


def test_reordered_frames_are_overtaken_by_so_many_at_most() -> None:
    left = carried(Faults(reorder_rate=0.2, reorder_frames_max=4))
    assert sorted(left) == list(range(1_000))
    late = [sum(1 for other in left[:place] if other > nth) for place, nth in enumerate(left)]
    assert 0 < max(late) <= 2 * 4, "frames that are held back themselves do not count as passing"


def test_a_reordered_frame_that_nobody_overtakes_leaves_in_time() -> None:
    wire, faults = Wire(seed=1), Faults(reorder_rate=1)
    assert wire.carry([push(1)], at(0), faults) == ([], [])
    assert wire.held == 1
    assert [one.items[0].event_id for one in wire.carry([], at(HOLD_S_MAX), faults)[0]] == ["1"]


def test_delayed_frames_come_late_but_not_later_than_asked() -> None:
    wire, faults, came = Wire(seed=1), Faults(delay_rate=1, delay_max_s=0.2), {}
    for step in range(400):
        new = [push(step)] if step < 100 else []
        for one in wire.carry(new, at(step / 1000), faults)[0]:
            came[int(one.items[0].event_id)] = step
    assert sorted(came) == list(range(100))
    assert 100 < max(step - nth for nth, step in came.items()) <= 201


def test_spoilt_frames_are_no_frames_for_anybody() -> None:
    dice = Random(5)
    for _ in range(300):
        frame = spoilt(b'{"topic":"trade.A","data":[{"price":"1.5","side":"buy"}]}', dice)
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            msgspec.json.decode(frame.decode())


def test_only_the_series_that_are_named_are_harmed() -> None:
    faults = Faults(only=("trade", "fill"), drop_rate=1)
    assert carried(faults, series="trade.A") == carried(faults, series="fill") == []
    assert len(carried(faults, series="trades")) == len(carried(faults, series="book.A")) == 1_000


def test_the_weather_follows_its_periods_and_its_orders() -> None:
    weather = Weather(Faults(down_every_s=10, down_s=2, cut_every_s=3, close_every_s=4, skew_s=-1.5), start=START)
    assert [weather.is_down(at(s)) for s in (0, 9.9, 10, 11.9, 12, 20)] == [False, False, True, True, False, True]
    assert [weather.cuts(at(s)) for s in (0, 2.9, 3, 6)] == [0, 0, 1, 2]
    assert [weather.closes(at(s)) for s in (0, 4, 8.5)] == [0, 1, 2]
    assert weather.venue_time(at(10)) == at(8.5)
    weather.go_silent(at(1), 2)
    assert [weather.is_silent(at(s)) for s in (1, 2.9, 3)] == [True, True, False]


# REST.


def stage_with(**faults: object) -> tuple[Stage, Way, Way]:
    """A venue with 200 happenings behind it, and its two routes: the list of fills and the token."""
    clock = ManualClock(START)
    stage = Stage(SimConfig(kit=KIT), clock=clock)
    for nth in range(200):
        stage.market.emit(at(nth / 100))
    stage.weather.faults = Faults().patched(faults)
    fills, token = stage.dialect.ways()
    return stage, fills, token


def asked(query: str = "limit=10") -> Asked:
    now = at(2)
    return Asked(method="GET", path="/fills", query=query, headers={}, body=b"", now=now, as_of=now)


def rows(answer: Answer) -> list[str]:
    return msgspec.convert(msgspec.json.decode(answer.body)["rows"], list[str])


@pytest.mark.parametrize("fault, status", [("throttle_rate", 429), ("ban_rate", 403), ("broken_rate", 500)])
def test_calls_are_refused_in_the_dialects_own_words(fault: str, status: int) -> None:
    stage, fills, token = stage_with(**{fault: 1})
    assert stage.front.answer(fills, asked())[0].status == status
    assert stage.front.answer(token, asked())[0].status == 200, "what is spared meets no fault"


def test_slow_answers_say_how_slow() -> None:
    stage, fills, _ = stage_with(slow_rate=1, slow_s=3)
    waits = [stage.front.answer(fills, asked())[1] for _ in range(50)]
    assert 0 <= min(waits) < 1 < 2 < max(waits) <= 3


def test_short_pages_go_on_where_they_end() -> None:
    stage, fills, _ = stage_with(short_page_rate=1)
    whole = [fill.token for fill in stage.market.history.between(Fill, None, None)]
    got: list[str] = []
    cursor: object = 0
    pages = 0
    while cursor is not None:
        answer = stage.front.answer(fills, asked(f"limit=10&cursor={cursor}"))[0]
        got += rows(answer)
        cursor = msgspec.json.decode(answer.body)["cursor"]
        pages += 1
    assert got == whole
    assert pages > len(whole) / 10 + 2


def test_a_looping_cursor_leads_back() -> None:
    stage, fills, _ = stage_with(cursor_loop_rate=1)
    answer = stage.front.answer(fills, asked("limit=3&cursor=2"))[0]
    assert msgspec.json.decode(answer.body)["cursor"] == 2


def test_lagging_lists_know_only_what_is_old_enough() -> None:
    stage, fills, _ = stage_with(lag_rate=1, lag_max_s=1)
    known = stage.market.history.between(Fill, None, None)
    tokens = [fill.token for fill in known]
    answers = [rows(stage.front.answer(fills, asked("limit=1000"))[0]) for _ in range(30)]
    assert all(told == tokens[: len(told)] for told in answers)
    least = sum(1 for fill in known if fill.at <= at(2) - timedelta(seconds=1))
    assert least <= min(map(len, answers)) < len(tokens)


def test_what_a_dialect_cannot_read_is_a_bad_request() -> None:
    stage, fills, _ = stage_with()
    assert stage.front.answer(fills, asked("limit=many"))[0].status == 400


def test_present_states_told_by_rest_are_optional_in_the_truth() -> None:
    stage, _, _ = stage_with()
    way = Way("GET", "/state", lambda _: Answer(b"{}", told=(("fill", Assigned("state", at(2))),)))
    stage.front.answer(way, asked())
    assert stage.truth.rows("fill")[-1].assigned == Assigned("state", at(2), optional=True)


def test_a_dialect_says_which_switches_it_does_not_know() -> None:
    stage, _, _ = stage_with()
    with pytest.raises(ValueError, match="no_such"):
        Plain(Scene(stage.market, stage.truth, 1, {"no_such": 1}))
    assert SHAPE.instruments[0].symbol in stage.market.symbols
