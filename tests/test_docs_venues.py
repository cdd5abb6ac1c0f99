"""The venues' pages: their tables are the code's, their settings are there, their examples are configurations."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bridge.config.settings import VENUES
from bridge.config.shapes import Follow
from bridge.core.channel import Model, Repair
from tests.channel_tables import DOCS, forms, page_of, shown, table

WITHOUT_NUMBERS = sorted(set(VENUES) - {"playbatman"})
OPEN = "-"


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_the_channels_of_a_venues_page_are_those_of_its_table(venue: str) -> None:
    page, known = page_of(venue), forms()[venue]
    assert shown(page) == table(known), "write it anew: python -m tests.channel_tables"
    assert f"`bridge sim {venue}`" in written(DOCS / "venues.md")


def test_a_table_says_of_every_channel_what_nobody_can_notice() -> None:
    for known in forms().values():
        for form in known:
            row = table([form])
            assert f" {form.channel.unnoticed or OPEN} |" in row
            assert f" {form.channel.reach} |" in row
            assert "`" in row


@pytest.mark.parametrize("venue", WITHOUT_NUMBERS)
def test_every_assumption_of_a_page_names_settings_that_there_are(venue: str) -> None:
    section = written(page_of(venue)).split("## Assumed")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \| .* \| (.*) \|$", section, re.MULTILINE)[2:]
    named = [name for cell in rows for name in re.findall(r"`([\w.]+)`", cell)]
    assert len(named) > 10
    assert [name for name in named if not has(VENUES[venue], name.split("."))] == []


@pytest.mark.parametrize("venue", WITHOUT_NUMBERS)
def test_the_example_of_a_page_is_a_configuration_of_its_venue(venue: str) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", written(page_of(venue)), re.DOTALL)
    [(name, source)] = tomllib.loads(example)["sources"].items()
    assert VENUES[source["venue"]].model_validate({**source, "name": name}).venue == venue


def test_every_model_is_explained_and_every_setting_of_following_is_one() -> None:
    page = written(DOCS / "venues.md")
    explained = page.split("## What a channel is")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| ([a-z-]+) \|", explained, re.MULTILINE)) - {"model", "---"} == set(Model)
    named = set(re.findall(r"`follow\.(\w+)`", page))
    assert len(named) > 5
    assert named <= set(Follow.model_fields)
    adding = written(DOCS / "adding-a-venue.md")
    assert {repair for repair in Repair if f"`{repair}`" not in adding} == set()


def test_every_file_that_the_page_on_adding_a_venue_names_is_there() -> None:
    page = written(DOCS / "adding-a-venue.md")
    named = set(re.findall(r"`((?:bridge|tests|docs)/[\w/.]+?|\w+\.toml)`", page)) - {"bridge/"}
    assert len(named) > 12
    for name in named:
        for venue in VENUES if "VENUE" in name else ("",):
            path = DOCS.parent / name.replace("VENUE", venue)
            assert path.exists() or path == DOCS / "venues" / "playbatman.md", name


def has(shape: Any, path: list[str]) -> bool:
    """Whether ``shape`` has the setting: by the name under which it is written in the file."""
    names = {field.alias or name: field.annotation for name, field in shape.model_fields.items()}
    if path[0] not in names:
        return False
    inner = [one for one in (names[path[0]], *get_args(names[path[0]])) if isinstance(one, type)]
    shapes = [one for one in inner if issubclass(one, BaseModel)]
    return len(path) == 1 or any(has(one, path[1:]) for one in shapes)
