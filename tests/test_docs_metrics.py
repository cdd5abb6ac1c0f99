"""The page of metrics is the code's, both ways; rules and dashboard ask only for what is there."""

import json
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alert.rules import RULES
from bridge.core.budget import Left
from bridge.metrics import Metrics
from bridge.store import budgets, leases, measured
from tests.cli.rows import fill, now
from tests.followed import EXECUTION, declare, tell, turn

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "metrics.md"
RULES_FILE = DOCS / "prometheus" / "alerts.yml"
DASHBOARD = DOCS / "grafana" / "bridge.json"

SERIES_ROW = re.compile(r"^\| `((?:bridge|process)_\w+)` \| ([^|]*) \| (\w+)[^|]*\| [^|]+ \| [^|]+ \|$", re.MULTILINE)
TYPE_LINE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
SAMPLE = re.compile(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="')
NAME = re.compile(r"\b(?:bridge|process)_\w+")
ADDED = ("_bucket", "_sum", "_count")
FILL = (
    "UPDATE streams SET unmatched = 1 WHERE name = 'pb.events'",
    """
INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload)
SELECT id, 'x', '', '', 'webhook', now(), '' FROM streams WHERE unmatched > 0
""",
    """
INSERT INTO heard (stream_id, transport, events, first, last_at)
SELECT id, 'webhook', 1, 1, now() FROM streams ON CONFLICT DO NOTHING
""",
    """
INSERT INTO alerts (rule, subject, severity, sentence, figures, first_at, last_at)
VALUES ('gap_open', 'pb.events', 'warning', '', '{}', now(), now())
""",
    """
INSERT INTO notices (alert_id, channel, kind, message, decided_at, due_at)
SELECT id, 'ops', 'firing', '{}', now(), now() FROM alerts
""",
)


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Kind and labels of each series of the page."""
    rows = SERIES_ROW.findall(written(PAGE))
    assert len(rows) == len({name for name, _, _ in rows}) > 40
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", cell))) for name, cell, kind in rows}


def known(name: str) -> bool:
    """Whether the page has the series, or the histogram of which it is a part."""
    histograms = [name.removesuffix(part) for part in ADDED if name.endswith(part)]
    return name in documented() or any(documented().get(one, ("",))[0] == "histogram" for one in histograms)


async def everything(engine: AsyncEngine) -> str:
    """What is rendered where there is something of everything."""
    await fill(engine)
    await tell(engine, await declare(engine, EXECUTION), turn(10, 20, "lost"), dropped=3)
    metrics, at = Metrics(), now()
    metrics.observe("pb", 202, 0.002)
    metrics.attempted("ledger", "accepted")
    metrics.delivered("ledger", {9: 1}, 0.02)
    metrics.remarked("pb.events", {"late": 1})
    metrics.noticed("log", "told")
    await metrics.counting.tell(engine)
    async with engine.begin() as connection:
        await leases.take(connection, name="source:pb", holder="a", now=at, until=at + timedelta(minutes=5))
        await budgets.put(connection, source="pb", left={"rest": Left(20, 20, 3, 1)}, now=at)
        for statement in FILL:
            await connection.execute(text(statement))
    configured = measured.Configured(
        sources={"pb": True, "by": True}, sockets=("pb", "by"), destinations=("ledger",), channels=("log", "ops")
    )
    seen = await measured.look(engine, now=at, configured=configured, streams_max=100)
    return metrics.render(seen, now=at).decode()


@pytest.mark.anyio
async def test_every_series_is_on_the_page_with_its_kind_and_labels_and_no_other_is(engine: AsyncEngine) -> None:
    rendered = await everything(engine)
    kinds = dict(TYPE_LINE.findall(rendered))
    labels: dict[str, set[str]] = {name: set() for name in kinds}
    for name, told in SAMPLE.findall(rendered):
        labels[name if name in kinds else name.removesuffix("_total")] |= set(LABEL.findall(told)) - {"le"}
    assert {name: (kind, frozenset(labels[name])) for name, kind in kinds.items()} == documented()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(written(RULES_FILE))["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Everything that is asked of Prometheus, by rules and by the dashboard."""
    panels = json.loads(written(DASHBOARD))["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [*(rule["expr"] for rule in rules()), *shown]


def test_rules_and_dashboard_ask_only_for_series_that_are_there() -> None:
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(asked) > 25
    assert {name for name in asked if not known(name)} == set()


def test_what_is_selected_and_kept_by_a_label_is_a_label_of_the_series() -> None:
    for expression in expressions():
        for name, selected in re.findall(r"\b((?:bridge|process)_\w+)\{([^}]*)\}", expression):
            family = name if name in documented() else re.sub(r"_(bucket|sum|count)$", "", name)
            wanted = set(re.findall(r"(\w+)\s*[=!]", selected)) - {"job"}
            assert wanted <= documented()[family][1], expression


def test_the_queries_of_the_dashboard_have_their_brackets_in_pairs() -> None:
    for expression in expressions():
        for opening, closing in ("()", "[]", "{}"):
            assert expression.count(opening) == expression.count(closing), expression


def test_every_rule_of_the_alerts_has_one_for_prometheus_with_the_same_severities() -> None:
    page = written(DOCS / "alerts.md")
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    assert {name for name, _ in table} == set(RULES)
    for name, told in table:
        made = {rule["labels"]["severity"] for rule in rules() if rule["labels"].get("rule") == name}
        wanted = (
            {"warning", "critical"} if told.strip() == "both" or name == "database" else {told.split(";")[0].strip()}
        )
        assert made == wanted, name


def test_every_rule_for_prometheus_says_how_bad_it_is_for_how_long_it_holds_and_where_to_read_on() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert re.fullmatch(r"\d+[ms]", rule["for"]), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        headings = re.findall(r"^#+ (.+)$", written(DOCS.parent / page), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, rule["alert"]


def test_the_dashboard_has_a_row_for_each_part_and_no_panel_upon_another() -> None:
    panels = json.loads(written(DASHBOARD))["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Streams", "Gaps and their expiry", "Venues", "Destinations", "Receiver"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or (panel["description"] and panel["targets"]), panel["title"]


def test_the_example_for_prometheus_takes_the_rules_beside_it() -> None:
    told = yaml.safe_load(written(DOCS / "prometheus" / "scrape.yml"))
    assert told["rule_files"] == [RULES_FILE.name]
    [job] = told["scrape_configs"]
    assert f'job="{job["job_name"]}"' in written(RULES_FILE)
