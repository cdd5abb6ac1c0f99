"""The model knows the truth, and an honest reader sees it."""

import json
from itertools import pairwise
from random import Random
from time import perf_counter

import pytest

from bridge.sim.playbatman import Faults, Row, Venue
from bridge.sim.playbatman.facts import EVENT_TYPES
from bridge.sim.playbatman.replay import Query, Replay
from tests.sim.support import START, at, venue_with


def read_all(venue: Venue, seconds: float) -> list[Row]:
    return venue.read(at(seconds), since=None, limit=1_000_000)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    def story(seed: int) -> tuple[list[Row], list[bytes], list[bytes]]:
        venue = Venue(seed=seed, start=START, faults=Faults.draw(Random(seed)))
        for second in range(20):
            venue.emit(at(second), 5)
        bodies = [delivery.body for delivery in venue.deliveries_due(at(1000))]
        return venue.assigned(), bodies, venue.frames_due(at(1000))

    assert story(seed) == story(seed)
    assert story(seed)[0] != story(seed + 100)[0]


def test_looking_often_does_not_change_what_is_assigned_or_delivered() -> None:
    looked, left_alone = (venue_with(webhook_loss_rate=0.3, late_commit_rate=0.3) for _ in range(2))
    for second in range(30):
        for venue in (looked, left_alone):
            venue.emit(at(second))
        looked.frames_due(at(second))
        read_all(looked, second)
    assert looked.assigned() == left_alone.assigned()
    assert [d.body for d in looked.deliveries_due(at(99))] == [d.body for d in left_alone.deliveries_due(at(99))]


def test_one_operator_sees_holes_in_the_shared_counter() -> None:
    venue = venue_with(operators=3)
    sequences = [row.sequence for row in venue.emit(START, 300)]
    assert all(left < right for left, right in pairwise(sequences))
    assert 600 < venue.counter < 1200
    assert len({row.operator_id for row in venue.assigned()}) == 1


def test_burnt_numbers_leave_holes_even_for_a_single_operator() -> None:
    venue = venue_with(operators=1, burnt_rate=0.5)
    venue.emit(START, 300)
    assert 500 < venue.counter < 720


def test_contiguous_numbers_have_no_holes() -> None:
    venue = venue_with(operators=9, burnt_rate=0.5, contiguous=True)
    assert [row.sequence for row in venue.emit(START, 50)] == list(range(1, 51))


def test_a_late_commit_becomes_visible_after_a_higher_number() -> None:
    venue = venue_with(late_commit_rate=0.3, late_commit_max_s=5.0)
    venue.emit(START, 100)
    on_time, all_of_them = read_all(venue, 0), read_all(venue, 5)
    late = [row for row in venue.assigned() if row.visible_at > START]
    assert 10 < len(late) < 60
    assert any(row.sequence < on_time[-1].sequence for row in late)
    assert venue.uncommitted(START) == len(late)
    assert all_of_them == venue.assigned()
    assert venue.uncommitted(at(5)) == 0


def test_an_honest_reader_sees_exactly_the_truth_page_by_page() -> None:
    venue = venue_with(burnt_rate=0.2)
    venue.emit(START, 250)
    seen: list[Row] = []
    while page := venue.read(START, since=seen[-1].sequence if seen else None, limit=40):
        seen += page
    assert seen == venue.assigned()


def test_rows_expire_one_retention_after_they_were_made_and_the_truth_keeps_them() -> None:
    venue = venue_with(retention_s=60)
    old = venue.emit(at(0), 3)
    young = venue.emit(at(30), 3)
    assert read_all(venue, 59.9) == old + young
    assert read_all(venue, 60) == young
    assert read_all(venue, 90) == []
    assert venue.assigned() == old + young


def test_filters_leave_only_what_was_asked_for() -> None:
    venue = venue_with()
    venue.emit(START, 200)
    market = venue.markets[1]
    filtered = venue.read(START, since=None, limit=9999, event_type="ORDER_PLACED", market_id=market)
    wanted = [r for r in venue.assigned() if (r.event_type, r.market_id) == ("ORDER_PLACED", market)]
    assert filtered == wanted != []


def test_a_reset_counter_starts_again_from_one_and_hides_the_old_rows() -> None:
    venue = venue_with(contiguous=True)
    old = venue.emit(START, 3)
    venue.reset_counter()
    new = venue.emit(at(1), 2)
    assert [(row.epoch, row.sequence) for row in venue.assigned()] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert read_all(venue, 1) == new
    assert venue.assigned() == old + new


def test_every_event_type_happens_and_its_payload_is_an_object() -> None:
    venue = venue_with()
    rows = venue.emit(START, 4000)
    assert {row.event_type for row in rows} == set(EVENT_TYPES)
    for row in rows:
        told = json.loads(row.encoded)
        assert told["payload"] == json.loads(row.payload)
        assert told["payload"]["marketId"] == told["marketId"] == row.market_id
    placed = sum(row.event_type in ("ORDER_PLACED", "ORDER_MATCHED") for row in rows)
    assert placed > len(rows) * 0.7


def test_fills_of_an_order_grow_and_never_pass_its_size() -> None:
    venue = venue_with()
    filled: dict[str, int] = {}
    trades: dict[str, int] = {}
    for row in venue.emit(START, 3000):
        if row.event_type != "ORDER_MATCHED":
            continue
        told = json.loads(row.payload)
        assert told["filledShares"] == filled.get(told["orderId"], 0) + told["shares"]
        assert (told["remainingShares"] == 0) == (told["status"] == "FILLED")
        filled[told["orderId"]] = told["filledShares"]
        trades[told["tradeId"]] = trades.get(told["tradeId"], 0) + 1
    assert set(trades.values()) == {1, 2}


def test_history_is_spread_over_its_age_and_nothing_of_it_is_pushed() -> None:
    venue = venue_with()
    venue.seed_history(1000, 3600)
    rows = venue.assigned()
    assert len(rows) == 1000
    assert (START - rows[0].created_at).total_seconds() == 3600
    assert venue.pending_deliveries == 0
    assert venue.frames_due(at(1)) == []
    with pytest.raises(ValueError, match="before what was emitted"):
        venue.seed_history(1, 10)


def test_frames_carry_neither_id_nor_sequence_and_tell_a_trade_once() -> None:
    venue = venue_with()
    rows = venue.emit(START, 2000)
    frames = [json.loads(frame) for frame in venue.frames_due(START)]
    assert venue.frames_due(at(1)) == []
    assert {frame["type"] for frame in frames} == {
        "PRICE_UPDATE",
        "ORDERBOOK_UPDATE",
        "TRADE",
        "MARKET_STATUS",
        "POSITION_UPDATE",
        "ORDER_UPDATE",
    }
    assert all(set(frame) == {"type", "payload"} for frame in frames)
    assert all(isinstance(frame["payload"]["timestamp"], int) for frame in frames)
    assert not any({"id", "sequence", "tradeId"} & set(frame["payload"]) for frame in frames)
    trades = {json.loads(r.payload)["tradeId"] for r in rows if r.event_type == "ORDER_MATCHED"}
    assert sum(frame["type"] == "TRADE" for frame in frames) == len(trades)


def test_frames_wait_for_the_commit_and_are_lost_in_silence() -> None:
    venue = venue_with(late_commit_rate=1.0, late_commit_max_s=4.0, silence_every_s=100, silence_s=10)
    venue.emit(START, 300)
    assert venue.frames_due(START) == []
    assert venue.frames_due(at(4)) != []
    venue.emit(at(99), 300)
    assert venue.frames_due(at(103)) == []
    assert venue.frames_due(at(111)) == []


def test_the_cost_of_a_page_does_not_grow_with_what_is_retained() -> None:
    def page_s(count: int) -> float:
        venue = venue_with(contiguous=True)
        venue.seed_history(count, 3600)
        replay = Replay(venue)
        query = Query(count - 1000, 1000, None, None)

        def once() -> float:
            began = perf_counter()
            assert replay.answer(query, START).body.count(b'"sequence"') == 1000
            return perf_counter() - began

        return min(once() for _ in range(5))

    assert page_s(40_000) < 5 * page_s(2_000)


def test_faults_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="no_such_fault"):
        Faults().patched({"no_such_fault": 1})
    with pytest.raises(ValueError, match="burnt_rate"):
        Faults().patched({"burnt_rate": 1.5})
    with pytest.raises(ValueError, match="tail"):
        Faults().patched({"tail": ["surprise"]})
    with pytest.raises(ValueError, match="float"):
        Faults().patched({"webhook_loss_rate": "often"})


def test_drawn_faults_differ_by_seed_and_lie_only_when_told_to() -> None:
    drawn = [Faults.draw(Random(seed)) for seed in range(200)]
    assert len({repr(faults) for faults in drawn}) == 200
    assert all(faults.missing_row_rate == faults.webhook_conflict_rate == 0 for faults in drawn)
    assert all(faults.late_commit_max_s + faults.replay_lag_max_s < 2 for faults in drawn)
    assert any(Faults.draw(Random(seed), lying=True).missing_row_rate for seed in range(20))
