"""The document of the API is true: what it says can be asked, and is answered as it says."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.config import Settings
from bridge.core.event import Kind
from bridge.egress import HttpEgress
from bridge.store.engine import make_engine
from bridge.store.tokens import Scope
from bridge.store.vault import Vault
from bridge.web import openapi
from bridge.web.app import routes_of
from bridge.web.operating import Operating
from bridge.web.pulse import Pulse
from bridge.web.reports import Reports
from tests.cli.rows import on
from tests.followed import EXECUTION, TRADES, declare, tell, turn
from tests.logs import START, append_events, append_told
from tests.web.listening import PATIENCE_S, listening
from tests.web.test_proof import lose
from tests.web.test_pull import forget

EXAMPLES_MAX = 20
LONG_S = 180
"""Half a minute on a machine that does nothing else: what is asked is made up anew for each operation and stream."""
TOKEN = "a-token-for-the-tests"
BORNE = {"Authorization": f"Bearer {TOKEN}"}
# What has no address is never posted to, whatever is made up for it.
RECORDS = """
WITH made AS (INSERT INTO destinations (name, changed_at) VALUES (:name, now()) RETURNING id),
heading AS (INSERT INTO cursors (destination_id, stream_id, due_at, failures, failing_since, last_error)
            SELECT made.id, streams.id, now(), 2, now(), 'refused: 500' FROM made, streams),
tried AS (INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, status, error,
                                latency_max_ms, started_at, ended_at)
          SELECT made.id, streams.id, 1, 1, 1, 'unknown', 500, 'refused', 2.5, now(), now() FROM made, streams)
INSERT INTO parked (destination_id, stream_id, position, attempts, status, error, parked_at)
SELECT made.id, streams.id, 1, 3, 500, 'refused', now() FROM made, streams
"""
READ = """
INSERT INTO reads (stream_id, epoch, at, why, since, reached, proven_first, proven_last, withheld, error)
SELECT stream_id, epoch, opened_at, 'proof', first, last, first, last, 'stable', 'HTTP 500' FROM gaps
"""
load_all_checks()
positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")
DESTINATION = "desk"
STREAMS = ("pb.events", "by.execution", TRADES.stream_of("by"), "cut.events")


def documented() -> set[tuple[str, str]]:
    paths = openapi.document(page_max=50)["paths"]
    return {(path, method.upper()) for path, operations in paths.items() for method in operations}


def test_every_route_is_documented_and_nothing_else_is() -> None:
    clock = ManualClock(START)
    engine = make_engine("postgresql+asyncpg://nobody@127.0.0.1/none")
    operating = Operating(engine, clock, Vault(), {})
    settings, reports = Settings(sources={}, destinations={}), Reports(engine, clock, page_max=50)
    by_scope = routes_of(engine, settings, clock, HttpEgress(clock), Pulse(), operating, reports)
    there = {
        (route.path.replace(":int}", "}"), method)
        for routes in by_scope.values()
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert documented() == there
    assert by_scope.keys() >= {Scope.READ}


async def fill(engine: AsyncEngine) -> None:
    """A stream with losses and an open gap, two without numbers, one cut short; and who takes them."""
    await append_events(engine, "cut.events", 9)
    await forget(engine, 5)
    await lose(engine)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":20,"last":29}')
    await tell(engine, await declare(engine, EXECUTION), turn(10, 20, "lost"))
    await tell(engine, await declare(engine, TRADES), turn(60, 70), dropped=12)
    async with engine.begin() as connection:
        await connection.execute(text(RECORDS), {"name": DESTINATION})
        await connection.execute(text(READ))


class Background:
    """The web side in a thread of its own: what asks it is not asynchronous."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._up, self._down = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.address = ""

    def __enter__(self) -> "Background":
        self._thread.start()
        assert self._up.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._down.set()
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        engine = make_engine(self._url)
        try:
            async with listening(engine, token=TOKEN, within_s=LONG_S) as place:
                self.address = place.address
                self._up.set()
                while not self._down.is_set():
                    await asyncio.to_thread(self._down.wait, 1)
        finally:
            self._up.set()
            await engine.dispose()


@pytest.fixture
def address(database_url: str) -> Iterator[str]:
    on(database_url, fill)
    with Background(database_url) as background:
        yield background.address


def operations(address: str) -> list[Any]:
    """What the document of the live application says can be asked."""
    schema: Any = schemathesis.openapi.from_url(f"{address}/v1/openapi.json", headers=BORNE)
    # The token is borne by each call: leaving it out is no bad request that could be made up.
    schema.config.generation.update(with_security_parameters=False)
    found = [result.ok() for result in schema.get_all_operations()]
    # Where the document itself came from is not among them.
    assert {operation.path for operation in found} == {path for path, _ in documented()} - {"/openapi.json"}
    return [operation for operation in found if operation.path != "/openapi.json"]


def ask(operation: Any, mode: GenerationMode, stream: str | None, answered: Counter[int]) -> None:
    """Ask what fits the document, or what does not; each answer must be one that the document allows."""
    there = {"stream": stream, "name": DESTINATION, "position": 1, "gap": 1}
    wanted = {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}
    fixed = {} if stream is None or not wanted else {"path_parameters": wanted}

    @seed(20260218)
    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, **fixed))
    def each(case: Any) -> None:
        # What fits each parameter's schema need not fit together: a token that was never given out, from beyond to.
        answer = case.call_and_validate(headers=BORNE, timeout=PATIENCE_S, excluded_checks=[positive_data_acceptance])
        answered[answer.status_code] += 1

    each()


@pytest.mark.timeout(LONG_S)
def test_whatever_is_asked_is_answered_as_the_document_says(address: str) -> None:
    for operation in operations(address):
        if operation.method != "get":
            continue
        answered: Counter[int] = Counter()
        for stream in STREAMS if "{stream}" in operation.path else STREAMS[:1]:
            ask(operation, GenerationMode.POSITIVE, stream, answered)
        assert answered[200] > 0, operation.label
        if any(parameter.location == "query" for parameter in operation.iter_parameters()):
            ask(operation, GenerationMode.NEGATIVE, STREAMS[0], answered)
            assert answered[400] > 0, operation.label
        if "{stream}" in operation.path or "{name}" in operation.path:
            ask(operation, GenerationMode.POSITIVE, None, answered)
            assert answered[404] > 0, operation.label


@pytest.mark.timeout(LONG_S)
def test_whatever_is_to_be_done_is_answered_as_the_document_says(address: str) -> None:
    # What deletes comes last.
    for operation in sorted(operations(address), key=lambda one: one.method == "delete"):
        if operation.method == "get":
            continue
        answered: Counter[int] = Counter()
        ask(operation, GenerationMode.POSITIVE, STREAMS[0], answered)
        ask(operation, GenerationMode.NEGATIVE, STREAMS[0], answered)
        if "{" in operation.path:
            ask(operation, GenerationMode.POSITIVE, None, answered)
            assert answered[404] > 0, operation.label
        assert set(answered) <= {200, 201, 202, 204, 400, 404, 409, 422}, (operation.label, answered)
