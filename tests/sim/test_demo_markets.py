"""The demo on venues without numbers: as real processes, and that nothing untold can slip through its verdict."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bridge.config.load import load_settings
from bridge.core.event import Kind
from bridge.sim.consumer import Held
from bridge.sim.demo.course import Ended
from bridge.sim.demo.followed import BYBIT, CRYPTOMUS, FOLLOWED, POLONIEX_V1, Followed, ended
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.parts import Bridge, ConsumerState, StreamState
from bridge.sim.demo.plan import KINDS, plan
from bridge.sim.demo.result import result_line
from bridge.sim.demo.scenario import PLAYBATMAN, VENUES, Keys, Scenario, bridge_toml, child_environ
from bridge.sim.demo.series import SeriesRow, SeriesVerdict, Terms
from bridge.sim.demo.series_verdict import judge_series
from bridge.sim.demo.verdict import found_by_consumer
from bridge.sim.market import Faults
from bridge.store.overview import GapRow, Overview

COMMAND = (sys.executable, "-m", "bridge", "demo")
PATIENCE_S = 140
AT = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
AT_MS = AT.timestamp() * 1000


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 10)
def test_under_faults_every_channel_of_every_venue_ends_up_whole_or_with_its_gaps_told() -> None:
    ran = subprocess.run(
        [*COMMAND, "--venue", "all", "--seconds", "5", "--seed", "3", "--json"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert (told["proven"], told["problems"], told["unsettled"]) == (True, [], None)
    assert list(told["venues"]) == list(VENUES)
    for venue, lines in told["venues"].items():
        assert all(line["good"] for line in lines.values()), venue
        assert sum(line["assigned"] for line in lines.values()) > 0, venue
        assert sum(line["gaps"] for line in lines.values()) > 0, "the faults must have hurt"
        assert sum(line["healed"] for line in lines.values()) > 0, "something must have been healed"
    for one in FOLLOWED.values():
        assert set(told["venues"][one.venue]) == {one.stream(channel) for channel in one.channels}
    assert f"PROVEN   {sum(len(one.channels) for one in FOLLOWED.values()) + 1} channels" in ran.stderr


# The exit code is that of ``Ended.good``: what makes it no.

ROWS = [SeriesRow(f"e{nth}", AT_MS + nth) for nth in range(3)]


def held(nth: int, kind: Kind = Kind.EVENT) -> Held:
    stamp = f"2026-02-18T23:00:00.{nth:03d}Z"
    return Held("by.execution", nth + 1, kind, 1, nth + 1, f"e{nth}", "t", "", "", 0.0, None, stamp)


def gap(from_: str, to: str) -> Held:
    data = msgspec.json.encode({"from": from_, "to": to, "reason": "lost", "evidence": {}})
    return Held("by.execution", 9, Kind.GAP, 1, None, "g", "bridge.gap", "", "", 0.0, data)


def verdict_on(*entries: Held, terms: Terms | None = None) -> SeriesVerdict:
    return judge_series("by.execution", ROWS, entries, terms or Terms())


WHOLE = verdict_on(*map(held, range(3)))


def end(verdict: SeriesVerdict, *, unsettled: str | None = None, state: ConsumerState | None = None) -> Ended:
    consumer = state or ConsumerState(3, 0, 0, {"by.execution": StreamState(last=3, held=3)})
    look = Look(
        Scenario(venues=("bybit",)),
        Stage.SETTLING,
        3.0,
        bridge=Bridge(Overview((), {}, (), (), ()), (), {}),
        consumer=consumer,
        judged={verdict.stream: verdict},
    )
    return Ended(None, look, unsettled, 9.0, {verdict.stream: verdict}, tuple(found_by_consumer(consumer)))


def test_a_demo_is_good_when_every_stream_is() -> None:
    assert end(WHOLE).good
    assert json.loads(result_line(end(WHOLE)))["proven"] is True


@pytest.mark.parametrize(
    "entries",
    [
        (held(0), held(2)),
        (held(0), held(1), held(1), held(2)),
        (held(1), held(0), held(2)),
        (held(0), gap("2026-02-18T23:00:00.002Z", "2026-02-18T23:00:00.003Z"), held(2)),
        (),
    ],
    ids=["dropped", "doubled", "swapped", "a gap beside it", "nothing"],
)
def test_a_demo_is_not_good_when_the_consumer_lacks_or_has_too_much_of_anything_untold(
    entries: tuple[Held, ...],
) -> None:
    over = end(verdict_on(*entries))
    assert not over.good
    told = json.loads(result_line(over))
    assert told["proven"] is False
    assert told["problems"][0].startswith("by.execution: ")


def test_a_gap_excuses_only_where_the_venue_offers_no_repair() -> None:
    entries = (held(0), gap("2026-02-18T23:00:00.001Z", "2026-02-18T23:00:00.002Z"), held(2))
    assert end(verdict_on(*entries)).good
    assert not end(verdict_on(*entries, terms=Terms(repairs=True))).good
    assert not end(verdict_on(*entries, terms=Terms(repairs=True, repaired="e1"))).good
    assert end(verdict_on(*entries, terms=Terms(repairs=True, repaired="other"))).good


def test_a_demo_is_not_good_when_it_did_not_settle_or_nothing_was_assigned_or_the_consumer_found_a_breach() -> None:
    assert not end(WHOLE, unsettled="1 open gaps").good
    assert not end(judge_series("by.execution", [], [], Terms())).good
    broken = ConsumerState(3, 0, 0, {"by.execution": StreamState(last=3, held=3, chain_failures=1)})
    assert not end(WHOLE, state=broken).good


def test_a_demo_waits_for_open_gaps_and_for_every_verdict() -> None:
    look = end(WHOLE).look
    assert look.bridge is not None
    judged = {BYBIT.stream(channel): WHOLE for channel in BYBIT.channels}
    assert look.unsettled() == "all of by.publicTrade.BTCUSDT, by.orderbook.50.BTCUSDT, by.order"
    assert replace(look, judged=judged).unsettled() is None
    row = GapRow(1, "by.order", 1, 5, 9, "open", AT, None, 1, None, None, 0, 0, None, "time")
    bridge = replace(look.bridge, in_time=(row,))
    assert replace(look, judged=judged, bridge=bridge).unsettled() == "1 open gaps of by.order"


# What a demo is made of.


def test_the_same_seed_breaks_the_same_lines_at_the_same_moments() -> None:
    assert plan("bybit", seed=7, seconds=20) == plan("bybit", seed=7, seconds=20)
    assert plan("bybit", seed=7, seconds=20) != plan("bybit", seed=8, seconds=20)
    assert plan("bybit", seed=7, seconds=20) != plan("cryptomus", seed=7, seconds=20)


@pytest.mark.parametrize("seconds", [1, 4, 20, 60])
def test_lines_break_in_order_during_the_traffic_in_every_way_there_is(seconds: int) -> None:
    spells = plan("bybit", seed=7, seconds=seconds)
    assert len(spells) >= 2
    assert [spell.at_s for spell in spells] == sorted(spell.at_s for spell in spells)
    assert all(0 < spell.at_s < 0.9 * seconds for spell in spells)
    assert seconds < 20 or {spell.order for spell in spells} == set(KINDS)


def test_the_configuration_of_a_demo_is_one_that_the_bridge_takes(tmp_path: Path) -> None:
    keys = Keys()
    file = tmp_path / "bridge.toml"
    file.write_text(bridge_toml(ports=dict.fromkeys(VENUES, 4321), consumer_port=4322))
    environ = child_environ({"BY_API_KEY": "of somebody else"}, keys, folder=tmp_path, port=4323)
    settings = load_settings(environ)
    assert [source.venue for source in settings.sources.values()] == list(VENUES)
    assert set(settings.destinations["ledger"].streams) == {f"{name}.*" for name in settings.sources}
    for one in FOLLOWED.values():
        assert settings.followed[one.source].channels == one.topics
    assert not [secret for one in FOLLOWED.values() for secret in one.secrets.values() if secret in file.read_text()]
    alone = bridge_toml(ports={PLAYBATMAN: 4321}, consumer_port=4322)
    assert "[sources.by]" not in alone
    assert 'streams       = ["pb.*"]' in alone


@pytest.mark.parametrize("one", FOLLOWED.values(), ids=lambda one: one.venue)
def test_when_faults_end_only_the_venues_clock_stays_wrong(one: Followed) -> None:
    calm = one.faults.patched(ended(one.faults))
    assert calm == Faults(only=one.faults.only, skew_s=one.faults.skew_s)


def test_what_must_be_repaired_is_what_the_lists_of_the_venue_hold() -> None:
    terms = {one.stream(c): one.terms(c) for one in (BYBIT, CRYPTOMUS, POLONIEX_V1) for c in one.channels}
    assert terms["by.execution"].repairs
    assert not terms["by.order"].repairs
    assert not terms["cm.deal"].repairs  # the fills of an open order are in no list
    assert (terms["po.tradeOrders"].repairs, terms["po.tradeOrders"].repaired) == (True, ":match:")
    assert terms["po.level2.BTCUSDTPERP"].untimed  # a change that is pulled bears no time
