"""A test of a destination: a signed notice straight to it, past every queue, and what it answered."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from bridge.config.shapes import Destination
from bridge.core import envelope
from bridge.core.delivery import Answered, NotSent
from bridge.core.signing import decode_secret
from bridge.egress import Egress
from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict
from bridge.operate.policies import delivered

TYPE = "bridge.test"
STREAM = "bridge.test"


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of it. ``outcome`` is accepted, refused (it answered, but not 2xx), unsent or unknown."""

    outcome: str
    status: int | None
    latency_ms: float
    said: str


async def aim(act: Acting, name: str) -> Destination:
    """The destination as it is delivered to now, and the test on record.

    Raises:
        Unknown, Conflict, NoSecretKey, WrongSecretKey, Invalid.
    """
    found = await act.destination(name)
    destination = act.file.get(name)
    if destination is None and found.sealed is not None:
        destination = delivered(found, act.vault, act.now)
    if destination is None:
        raise Conflict(f"the destination {name} is no longer in the configuration file: nobody knows where it is")
    await act.note("destination.tested", name)
    return destination


async def send(destination: Destination, egress: Egress, *, now: datetime) -> Tested:
    """Send it. Never raises for what the other side does."""
    content = envelope.notice(TYPE, STREAM, now, destination=destination.name)
    headers = envelope.notice_headers(
        STREAM,
        content,
        f"{TYPE}:{destination.name}:{secrets.token_hex(16)}",
        keys=[decode_secret(secret.get_secret_value()) for secret in destination.secrets],
        timestamp_s=int(now.timestamp()),
        attempt=1,
    )
    outcome = await egress.post(
        destination.url,
        headers,
        content,
        timeout_s=destination.timeout_s,
        allow_private=destination.allow_private,
    )
    latency_ms = round(outcome.latency_s * 1000, 3)
    if isinstance(outcome, Answered):
        word = "accepted" if 200 <= outcome.status < 300 else "refused"
        return Tested(word, outcome.status, latency_ms, outcome.excerpt)
    return Tested("unsent" if isinstance(outcome, NotSent) else "unknown", None, latency_ms, outcome.reason)
