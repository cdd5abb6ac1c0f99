"""Logs: one line per outcome, whoever speaks, and never what a variable held."""

import io
import json
import logging
from datetime import datetime

import pytest
import structlog

from bridge import logs
from bridge.core.errors import ConfigError

SECRET = "whsec_do_not_tell"


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def fail() -> None:
    secret = SECRET
    if secret:
        raise RuntimeError("the cause")


def test_an_outcome_is_one_line_of_json_with_the_time_first(out: io.StringIO) -> None:
    logs.configure("info", stream=out)
    structlog.get_logger().info("delivery.accepted", source="pb", seconds=0.25, text="two\nlines", at_head=True)
    [line] = out.getvalue().splitlines()
    told = json.loads(line)
    assert list(told)[:3] == ["at", "level", "event"]
    assert datetime.fromisoformat(told["at"]).utcoffset() is not None
    assert (told["event"], told["level"], told["source"], told["text"]) == (
        "delivery.accepted",
        "info",
        "pb",
        "two\nlines",
    )


def test_what_is_below_the_level_is_not_written(out: io.StringIO) -> None:
    logs.configure("WARNING", stream=out)
    log = structlog.get_logger()
    log.info("quiet.one")
    log.warning("loud.one")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud.one"]


def test_libraries_speak_through_the_same_lines_from_warnings_up(out: io.StringIO) -> None:
    logs.configure("debug", stream=out)
    logging.getLogger("apscheduler.scheduler").info("Added job")
    logging.getLogger("some.library").warning("odd %s", "request")
    [line] = out.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["logger"]) == ("odd request", "warning", "some.library")


@pytest.mark.parametrize("pretty", [False, True])
def test_a_traceback_says_where_but_not_what_the_variables_held(out: io.StringIO, pretty: bool) -> None:
    logs.configure("info", stream=out, pretty=pretty)
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("loop.failed")
        logging.getLogger("asyncio").exception("a task failed")
    assert out.getvalue().count("RuntimeError: the cause") == 2
    assert out.getvalue().count(", in fail") == 2
    assert SECRET not in out.getvalue()
    if not pretty:
        assert len(out.getvalue().splitlines()) == 2


def test_on_a_terminal_lines_are_for_people(out: io.StringIO) -> None:
    logs.configure("info", stream=out, pretty=True)
    structlog.get_logger().info("stream.began", stream="pb.events")
    assert "stream.began" in out.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(out.getvalue())


@pytest.mark.parametrize("value", ["\ud800", 2**70, object(), b"\xff", {1, 2}])
def test_no_value_is_too_odd_to_be_told(out: io.StringIO, value: object) -> None:
    logs.configure("info", stream=out)
    structlog.get_logger().info("odd.seen", value=value)
    assert json.loads(out.getvalue())["event"] == "odd.seen"


def test_a_line_has_an_end(out: io.StringIO) -> None:
    logs.configure("info", stream=out)
    structlog.get_logger().info("long.seen", value="x" * 1_000_000)
    assert len(out.getvalue()) < 2 * logs.LINE_CHARS_MAX
    assert json.loads(out.getvalue())["event"] == "long.seen"


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="LOG_LEVEL"):
        logs.configure("chatty")
