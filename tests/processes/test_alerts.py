"""From a venue that cannot be asked to a person who is told, and told again when it is mended; by real processes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.sim.playbatman import Faults, SimConfig
from bridge.store import alerts, notices
from tests.alert.receiving import Mailbox, Webhook, mailbox, webhook
from tests.processes.bridges import SECRET, BridgeProcess, bridges, write_config
from tests.processes.carrier import carrying
from tests.processes.judging import is_complete, stream_of
from tests.processes.waiting import eventually
from tests.sim.serving import running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

WITHIN_S = 60.0
ALERTS = """
[alerts]
every_s = 1
send_every_s = 0.5
gap_open_s = 3
resolve_s = 1
repeat_s = 0
off = ["silent", "late"]

[alerts.channels.ops]
type = "slack"
url = "http://127.0.0.1:{hook}/services/${{SLACK_TOKEN}}"
allow_private = true

[alerts.channels.people]
type = "email"
host = "127.0.0.1"
port = {mail}
tls = "none"
from = "bridge@example.com"
to = ["ops@example.com"]
"""
TOKEN = "t0ken-of-the-webhook"


async def test_a_gap_that_stays_open_is_told_once_by_two_workers_and_its_end_too(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    async with webhook() as hook, mailbox() as box, carrying(port, seed=3) as carrier:
        config = SimConfig(
            seed=3,
            faults=Faults(webhook_loss_rate=0.3),
            events_per_s=30.0,
            webhook_url=carrier.url,
            webhook_secret=SECRET,
        )
        async with running(config) as venue:
            file = write_config(tmp_path, venue=venue.port, destinations={})
            file.write_text(file.read_text() + ALERTS.format(hook=hook.port, mail=box.port))
            with bridges(tmp_path, file, database_url=database_url) as started:
                bridge, beside = (
                    started.start("run", port=port, SLACK_TOKEN=TOKEN),
                    started.start("worker", SLACK_TOKEN=TOKEN),
                )
                await begun(engine, bridge)
                await venue.told("faults", error_rate=1.0)
                await eventually(
                    lambda: said(hook, "*warning: gap_open pb.events*"), within_s=WITHIN_S, state=bridge.tail
                )
                await venue.told("stop-emitting")
                await venue.told("faults", error_rate=0.0)
                await venue.told("drain")
                head = (await venue.truth())[-1]["sequence"]
                assert isinstance(head, int)
                await eventually(lambda: is_complete(engine, head), within_s=WITHIN_S, state=bridge.tail)
                await eventually(lambda: is_over(engine, hook, box), within_s=WITHIN_S, state=lambda: (hook, box.got))
                for process in (bridge, beside):
                    process.terminate()
                    assert await process.ended() == 0
                logs = bridge.log.read_text() + beside.log.read_text()
    told = [line for line in logs.splitlines() if '"event":"alert.' in line]
    assert len(hook.texts) == len(box.got) == len(told), (hook.texts, told)
    assert len(set(hook.keys)) == len(hook.keys), "something was told twice"
    of_the_gap = [text.split("*")[1] for text in hook.texts if "gap_open pb.events" in text]
    assert of_the_gap == ["warning: gap_open pb.events", "resolved, warning: gap_open pb.events"] * (
        len(of_the_gap) // 2
    )
    assert TOKEN not in logs
    assert "ops@example.com" not in logs


async def begun(engine: AsyncEngine, bridge: BridgeProcess) -> None:
    """Return when the stream has a beginning: what follows can be missing."""

    async def has_begun() -> bool:
        stream = await stream_of(engine)
        return stream is not None and stream.position > 20

    await bridge.ready()
    await eventually(has_begun, within_s=WITHIN_S, state=bridge.tail)


def said(hook: Webhook, heading: str) -> bool:
    return any(text.startswith(heading) for text in hook.texts)


async def is_over(engine: AsyncEngine, hook: Webhook, box: Mailbox) -> bool:
    """Whether nothing is open any more, and every channel knows."""
    async with engine.connect() as connection:
        left = (await alerts.firing(connection), await notices.waiting(connection))
    heard = (hook.texts[-1], str(box.got[-1]["Subject"]) if box.got else "")
    return left == ({}, {}) and all("resolved" in one for one in heard)
