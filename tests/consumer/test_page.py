"""What the page for consumers shows runs, and checks what it says that it checks."""

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from bridge.clock import SystemClock
from bridge.consumer import Place
from bridge.core.envelope import batch, batch_headers, body, headers, notice, notice_headers
from bridge.core.event import LogEntry
from bridge.core.signing import encode_secret
from tests.consumer.bodies import AT, KEY, OTHER, SECRET, log

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs/consuming.md"
PATIENCE_S = 40
Post = Callable[[dict[str, str], bytes], Awaitable[int]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the example keeps what it takes."""
    monkeypatch.setenv("VENUE_SECRETS", f"{encode_secret(OTHER)} {SECRET}")
    monkeypatch.setenv("LEDGER_FILE", str(tmp_path / "ledger.db"))
    return tmp_path / "ledger.db"


@asynccontextmanager
async def example(framework: str) -> AsyncIterator[Post]:
    """The example of the page on a real socket."""
    storing, starlette, fastapi, _ = blocks("python")
    defined: dict[str, Any] = {"__name__": "example"}
    for block in (storing, {"starlette": starlette, "fastapi": fastapi}[framework]):
        exec(compile(block, str(PAGE), "exec"), defined)
    server = uvicorn.Server(uvicorn.Config(defined["app"], port=0, lifespan="off", log_config=None))
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started:
            await asyncio.wait([serving], timeout=0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def post(made: dict[str, str], content: bytes) -> int:
                return (await client.post("/hooks/venue", headers=made, content=content)).status_code

            yield post
        server.should_exit = True
    defined["db"].close()


def now_s() -> int:
    return int(SystemClock().now().timestamp())


def one(entry: LogEntry) -> tuple[dict[str, str], bytes]:
    content = body(entry, previous=entry.position - 1)
    return headers(entry, content, keys=[KEY], timestamp_s=now_s(), attempt=1), content


def many(entries: list[LogEntry]) -> tuple[dict[str, str], bytes]:
    content = batch([one(entry)[1] for entry in entries], entries)
    return batch_headers(entries, content, keys=[KEY], timestamp_s=now_s(), attempt=1), content


def held(ledger: Path) -> tuple[list[tuple[int, str, bytes]], Place]:
    with sqlite3.connect(ledger) as db:
        rows = db.execute("SELECT position, kind, data FROM ledger ORDER BY position").fetchall()
        [place] = db.execute("SELECT place FROM places").fetchone()
    return rows, Place.loads(place)


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_the_example_takes_what_the_bridge_sends_and_nothing_else(framework: str, ledger: Path) -> None:
    entries = log([b"%d" % number for number in range(1, 8)], told=[3])
    told = notice("bridge.test", "bridge.test", AT, destination="ledger")
    async with example(framework) as post:
        assert await post(*one(entries[0])) == 204
        assert await post(*one(entries[0])) == 204, "again"
        assert await post(*many(entries[:3])) == 204, "again, and more"
        assert await post(*one(entries[4])) == 409, "something is missing before it"
        made, content = one(entries[3])
        assert await post(made, content.replace(b'"data":4', b'"data":5')) == 401, "forged"
        aged = headers(entries[3], content, keys=[KEY], timestamp_s=now_s() - 999, attempt=1)
        assert await post(aged, content) == 401, "old"
        signed = notice_headers("bridge.test", told, "once", keys=[KEY], timestamp_s=now_s(), attempt=1)
        assert await post(signed, told) == 204, "a notice"
    async with example(framework) as post:
        assert await post(*many(entries[2:])) == 204, "after a restart"
    rows, place = held(ledger)
    assert rows == [(entry.position, entry.kind.value, entry.payload) for entry in entries]
    assert place == Place(7, entries[-1].chain.hex())


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds the official library."""
    return tmp_path_factory.mktemp("node")


async def run(*words: str, folder: Path, given: bytes = b"") -> tuple[int, bytes, bytes]:
    """Exit code, output and complaints of another program."""
    started = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await started.communicate(given)
    except TimeoutError:
        started.kill()
        await started.wait()
        return -1, b"", b"it took too long"
    return started.returncode or 0, out, err


RUNNER = """
import { check } from "./check.mjs";
let text = "";
for await (const part of process.stdin) text += part;
let position = 0, chain = Buffer.alloc(32);
const said = [];
for (const { secret, headers, body } of JSON.parse(text)) {
  try {
    const entry = check(secret, headers, Buffer.from(body, "hex"), position, chain);
    if (entry) [position, chain] = [entry.position, Buffer.from(entry.chain, "hex")];
    said.push(entry ? entry.position : "again");
  } catch (error) { said.push(error.message); }
}
console.log(JSON.stringify(said));
"""


async def test_the_check_for_node_takes_what_the_bridge_sends_and_nothing_else(node: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node is not here: what the page shows for it was NOT run")
    wanted = ("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "standardwebhooks")
    code, _, complaint = await run(*wanted, folder=node)
    if code != 0:
        last = complaint.decode(errors="replace")[-200:]
        pytest.skip(f"npm could not bring standardwebhooks: what the page shows for Node was NOT run: {last}")
    [shown] = blocks("js")
    (node / "check.mjs").write_text(shown)
    (node / "run.mjs").write_text(RUNNER)
    entries = log(told=[2])
    forged, strange = one(entries[2])[1].replace(b'"data"}', b'"date"}'), log([b"0"] * 3)[2]
    sent = [
        one(entries[0]),
        one(entries[0]),
        one(entries[1]),
        (one(entries[2])[0], forged),
        one(strange),
        one(entries[3]),
        one(entries[2]),
        one(entries[3]),
    ]
    given = [{"secret": SECRET, "headers": made, "body": content.hex()} for made, content in sent]
    told = json.dumps(given).encode()
    code, out, complaint = await run("node", "run.mjs", folder=node, given=told)
    assert code == 0, complaint.decode()
    missing = "something between was not received"
    assert json.loads(out) == [1, "again", 2, "No matching signature found", "altered", missing, 3, 4]
