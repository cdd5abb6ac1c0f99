"""Running the program inside the test, and leaving no logging set up behind."""

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from typer.testing import CliRunner, Result

from bridge.cli import make_app

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def invoke() -> Invoke:
    """Runs ``bridge`` with these words in this environment, and none of the machine's."""

    def run(environ: dict[str, str], *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(make_app(environ), list(words), input=given)

    return run
