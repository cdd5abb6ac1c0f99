"""A test of the channels: one message to each of them at once, past every queue, and who took it."""

import asyncio
import secrets
from collections.abc import Sequence

from bridge.alert.channel import Channel, Sent
from bridge.alert.notice import trial_message
from bridge.clock import Clock
from bridge.operate.acting import Acting


async def note(act: Acting, channels: Sequence[Channel]) -> None:
    """Put the test on record."""
    await act.note("alerts.tested", ", ".join(one.name for one in channels))


async def send(channels: Sequence[Channel], clock: Clock) -> list[tuple[str, Sent]]:
    """Send it, to none of them after another; each by its name. Never raises for what the other side does."""
    message = trial_message(f"test-{secrets.token_hex(8)}", clock.now())
    async with asyncio.TaskGroup() as group:
        sending = [(one.name, group.create_task(one.send(message))) for one in channels]
    return [(name, sent.result()) for name, sent in sending]
