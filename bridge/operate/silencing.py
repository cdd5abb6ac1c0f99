"""Silences as acts of an operator: every one has an end, a reason, and is on record."""

from datetime import timedelta

from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict, Invalid, Unknown
from bridge.store import silences
from bridge.store.silences import SILENCES_MAX

HOURS_MAX = 30 * 24.0
CHARS_MAX = 200


async def silence(act: Acting, *, rule: str, subject: str, hours: float, reason: str) -> int:
    """Tell nobody of what fits both globs for so long; its id.

    Raises:
        Invalid, Conflict.
    """
    given = {"rule": rule, "subject": subject, "reason": reason}
    wrong = [(name, _why_not(text)) for name, text in given.items() if _why_not(text)]
    if not (0 < hours <= HOURS_MAX and timedelta(hours=hours)):
        wrong.append(("hours", f"must be more than 0, and at most {HOURS_MAX:g}"))
    if wrong:
        raise Invalid(*wrong)
    until = act.now + timedelta(hours=hours)
    made = await silences.add(
        act.conn, rule=rule, subject=subject, reason=reason, by=act.actor, until=until, now=act.now
    )
    if made is None:
        raise Conflict(f"there are {SILENCES_MAX} silences: end some of them")
    await act.note("alerts.silenced", f"{rule} {subject}", silence=made, until=until, reason=reason)
    return made


async def unsilence(act: Acting, silence_id: int) -> None:
    """End a silence before its time. Raises Unknown."""
    ended = await silences.end(act.conn, silence_id, by=act.actor, now=act.now)
    if ended is None:
        raise Unknown(f"no silence {silence_id} holds")
    await act.note("alerts.unsilenced", " ".join(ended), silence=silence_id)


def _why_not(text: str) -> str:
    if not text.strip():
        return "must not be empty"
    if len(text) > CHARS_MAX or not text.isprintable():
        return f"must be one line of at most {CHARS_MAX} printable characters"
    return ""
