"""Reports that are kept beside the tests, to the byte. BRIDGE_GOLDEN=write renews them: read what it wrote."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.report import Period, Written, make
from bridge.report.forms import FORMS
from bridge.store.evidence import Evidence
from tests.events import START, event
from tests.report.reading import bytes_of
from tests.report.stories import HOUR, STORIES

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent / "golden"
KEPT = ("json", "csv", "deliveries-csv")
ARRIVALS = 3
PART = 20


@pytest.mark.parametrize("story", STORIES)
async def test_a_story_gives_the_report_that_is_kept_of_it(engine: AsyncEngine, story: str) -> None:
    period = await STORIES[story](engine)
    async with engine.connect() as conn:
        made = await make(conn, period, now=period.until)
    found = {f"{story}{FORMS[form].suffix}": b"".join(FORMS[form].write(made)) for form in KEPT}
    if os.environ.get("BRIDGE_GOLDEN") == "write":  # noqa: TID251 - a test may be told what to do
        FOLDER.mkdir(exist_ok=True)
        for name, content in found.items():
            (FOLDER / name).write_bytes(content)
    for name, content in found.items():
        assert content == (FOLDER / name).read_bytes(), name


def test_between_them_the_stories_tell_of_everything() -> None:
    """A figure that is zero in all of them is held by none."""
    sheets = [(FOLDER / f"{story}.csv").read_text().splitlines() for story in STORIES]
    sheets += [(FOLDER / f"{story}-deliveries.csv").read_text().splitlines() for story in STORIES]
    seen: dict[str, bool] = {}
    for names, *rows in sheets:
        for row in rows:
            for name, cell in zip(names.split(","), row.split(","), strict=True):
                seen[name] = seen.get(name, False) or cell not in ("", "0", "0.0")
    assert [name for name, is_seen in seen.items() if not is_seen] == []


@pytest.mark.parametrize("seed", range(ARRIVALS))
async def test_in_whatever_order_things_are_heard_the_report_has_the_same_bytes(
    engine: AsyncEngine, seed: int
) -> None:
    """Within the same moments: what is told when, and how often, is a part of what a report tells."""
    made = [await told_in_order(engine, Random(f"{seed}:{turn}"), f"turn{turn}.events") for turn in range(2)]
    assert made[0].replace(b"turn0.", b"") == made[1].replace(b"turn1.", b"")


async def told_in_order(engine: AsyncEngine, dice: Random, name: str) -> bytes:
    """Hours of events, doubled and shuffled by ``dice``, with numbers that are void and lost. Without its digest."""
    clock = ManualClock(START)
    spec = StreamSpec(name, "pb", "venue", settle_s=2.0)
    async with Door(engine, clock, {name: spec}) as door:
        await door.record(name, Finding(1, base=Base(1, START)))
        for part in range(4):
            numbers = [*range(part * PART + 1, (part + 1) * PART)] * 2
            dice.shuffle(numbers)
            for at in range(0, len(numbers), 5):
                heard = [event(number) for number in numbers[at : at + 5]]
                await door.accept(name, heard, transport=Transport.WEBHOOK)
            clock.advance(1_500)
            last = Span.inclusive((part + 1) * PART, (part + 1) * PART)
            found = Evidence(last, "loss" if part == 2 else "proof", {"why": "nobody has it"})
            await door.record(name, Finding(1, evidence=(found,)))
    async with engine.connect() as conn:
        period = Period.of(START, START + 2 * HOUR)
        made = await make(conn, period, now=period.until, glob=name)
    return bytes_of(made).replace(made.digest.encode(), b"")


ANOTHER = """
import hashlib, locale, sys
from pathlib import Path
from bridge.report import Written
from bridge.report.forms import FORMS

locale.setlocale(locale.LC_ALL, "")
body = Path(sys.argv[1]).read_bytes()
for name, form in FORMS.items():
    print(name, hashlib.sha256(b"".join(form.write(Written.of([body])))).hexdigest())
"""
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.utf8", "PYTHONHASHSEED": "7", "MPLBACKEND": "svg"}


@pytest.mark.parametrize("story", STORIES)
def test_a_process_that_is_set_up_otherwise_writes_the_same_bytes_in_every_form(story: str, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("timezone: Asia/Tokyo\nfont.size: 20\nsvg.fonttype: path\n")
    body = FOLDER / f"{story}.json"
    command = [sys.executable, "-c", ANOTHER, os.fspath(body)]
    told = subprocess.run(command, cwd=tmp_path, env=ELSEWHERE, check=True, capture_output=True, text=True).stdout
    forms = {name: b"".join(form.write(Written.of([body.read_bytes()]))) for name, form in FORMS.items()}
    assert dict(line.split() for line in told.splitlines()) == {
        name: hashlib.sha256(content).hexdigest() for name, content in forms.items()
    }
