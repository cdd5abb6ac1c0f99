"""What an audit brought: its pass counts it, and it is a gap that is known and healed in one, all in one commit."""

from collections.abc import Mapping
from datetime import datetime

from bridge.core.coverage import Coverage
from bridge.store import audits, gaps
from bridge.store.direct import Executes
from bridge.store.streams import Stream


async def put_down(connection: Executes, stream: Stream, late: Mapping[int, int | None], now: datetime) -> None:
    """Put down those of the ``late`` numbers that name the pass which brought them."""
    by_pass: dict[int, list[int]] = {}
    for number, audit_id in late.items():
        if audit_id is not None:
            by_pass.setdefault(audit_id, []).append(number)
    for audit_id, numbers in sorted(by_pass.items()):
        healed = [(span, len(span)) for span in Coverage.of_numbers(numbers).spans]
        await gaps.heal(connection, stream_id=stream.id, epoch=stream.epoch, healed=healed, axis="sequence", now=now)
        await audits.brought(connection, audit_id=audit_id, numbers=numbers)
