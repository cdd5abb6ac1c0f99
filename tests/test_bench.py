"""Every measurement runs, with numbers so small that they say nothing but that."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bench import (
    backfill,
    delivery,
    endtoend,
    neighbours,
    outage,
    report,
    retention,
    scrape,
    sockets,
    traces,
    webhooks,
)
from bench.figures import Figure
from bench.quantiles import quantile, spread
from bench.stage import Part, PartFailed, stage

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.timeout(240)  # the first of them waits for all measurements

Measured = dict[str, dict[str, Figure]]


@pytest.fixture(scope="module")
def measured() -> Measured:
    """What came out of every question, by question and name. All at once: it is not about the numbers."""

    async def measure() -> list[list[Figure]]:
        return await asyncio.gather(
            webhooks.measure(webhooks.SMOKE),
            delivery.measure(delivery.SMOKE),
            backfill.measure(backfill.SMOKE),
            endtoend.measure(endtoend.SMOKE),
            sockets.measure(sockets.SMOKE),
            retention.measure(retention.SMOKE),
            report.measure(report.SMOKE),
            scrape.measure(scrape.SMOKE),
        )

    # Thirteen destinations more would leave the others no time, and others would leave none to see lines come and go.
    found = asyncio.run(measure())
    found += [asyncio.run(neighbours.measure(neighbours.SMOKE)), asyncio.run(outage.measure(outage.SMOKE))]
    return {figures[0].question: {figure.name: figure for figure in figures} for figures in found}


@pytest.mark.slow
def test_webhooks_are_measured_beside_one_transaction_per_request(measured: Measured) -> None:
    figures = measured[webhooks.QUESTION]
    ratio = figures["durable webhooks"].value / figures["one transaction per request"].value
    assert figures["ratio"].value == pytest.approx(ratio)
    assert 0 < figures["p50"].value <= figures["p99"].value


@pytest.mark.slow
def test_delivery_is_measured_beside_a_bare_client(measured: Measured) -> None:
    figures = measured[delivery.QUESTION]
    ratio = figures["strict order"].value / figures["bare client, one post after the other"].value
    assert figures["of the bare client"].value == pytest.approx(ratio)


@pytest.mark.slow
def test_good_destinations_are_measured_with_bad_ones_beside_them_and_without(measured: Measured) -> None:
    figures = measured[neighbours.QUESTION]
    alone, beside = figures["2 good destinations: p99"], figures["beside a dead, a slow and a failing one: p99"]
    assert figures["ratio"].value == pytest.approx(beside.value / alone.value)
    assert alone.value > 0


@pytest.mark.slow
def test_backfill_is_measured_until_everything_is_settled(measured: Measured) -> None:
    figures = measured[backfill.QUESTION]
    stored = figures["with holes: stored, from the bridge's start"].value
    assert 0 < figures["with holes: settled, from the bridge's start"].value <= stored


@pytest.mark.slow
def test_the_whole_way_is_measured_with_its_memory(measured: Measured) -> None:
    figures = measured[endtoend.QUESTION]
    assert 0 < figures["with holes: p50"].value <= figures["with holes: p99"].value
    assert figures["with holes: resident memory"].value > 1


@pytest.mark.slow
def test_sockets_are_measured_in_the_log_and_in_silence(measured: Measured) -> None:
    figures = measured[sockets.QUESTION]
    assert figures["one venue: trades into the log"].value > 1
    assert figures["one venue: dropped for want of room"].value == 0
    assert figures["3 idle streams: resident memory"].value > 1


@pytest.mark.slow
def test_an_outage_is_measured_until_nothing_is_missing(measured: Measured) -> None:
    figures = measured[outage.QUESTION]
    assert figures["from the reconnect until healed"].value > 0
    assert figures["events had from the lists"].value > 0


@pytest.mark.slow
def test_traces_are_measured_beside_none() -> None:
    figures = asyncio.run(traces.measure(traces.SMOKE))
    none, little, ratio, all_, other = (figure.value for figure in figures)
    assert ratio == pytest.approx(little / none)
    assert other == pytest.approx(all_ / none)


@pytest.mark.slow
def test_storing_is_measured_alone_and_beside_a_sweep(measured: Measured) -> None:
    figures = measured[retention.QUESTION]
    alone, beside = figures["stored, nothing forgotten meanwhile"].value, figures["stored, beside a sweep"].value
    assert figures["ratio"].value == pytest.approx(beside / alone)
    assert figures["forgotten meanwhile"].value > 0


def test_a_part_that_fails_is_told_of_and_nothing_of_it_stays() -> None:
    async def fail() -> tuple[Path, Part]:
        async with stage() as place:
            null = await place.begin("null")
            with pytest.raises(PartFailed, match="unheard-of"):
                await place.begin("unheard-of")
            return place.folder, null

    folder, null = asyncio.run(fail())
    assert not folder.exists()
    assert not Path(f"/proc/{null.pid}").exists()


def test_an_unknown_question_is_refused_by_name() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert asked.returncode == 2
    assert "no such question: speed" in asked.stderr


@pytest.mark.parametrize(
    "figure,met",
    [
        (Figure("q", "n", 10, "1/s", least=10), True),
        (Figure("q", "n", 9, "1/s", least=10), False),
        (Figure("q", "n", 50, "ms", most=50), True),
        (Figure("q", "n", 51, "ms", most=50), False),
        (Figure("q", "n", 51, "ms"), None),
    ],
)
def test_a_figure_knows_whether_its_target_is_met(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_a_quantile_is_the_value_at_its_rank() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (51.0, 100.0, 7.0)
    assert spread([8.0, 10.0, 12.0]) == 0.4


@pytest.mark.slow
def test_a_report_is_measured_from_the_command_to_its_last_byte(measured: Measured) -> None:
    seconds, resident, written = measured[report.QUESTION].values()
    assert seconds.value > 0
    assert 20 < resident.value < 2_000
    assert written.value * 1024 * 1024 > 3 * 24 * 300, "three streams of 24 hours each"


@pytest.mark.slow
def test_a_scrape_is_measured_with_many_scrapes_beside_other_answers(measured: Measured) -> None:
    figures = list(measured[scrape.QUESTION].values())
    assert [figure.unit for figure in figures] == ["s", "MiB", "ms", "ms"] * 2
    assert all(figure.value > 0 for figure in figures)
