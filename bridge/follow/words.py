"""What the log says where events are missing: the data of a ``gap`` entry of a followed stream."""

import json

from bridge.core.event import Kind
from bridge.core.sequel import Skipped
from bridge.core.timeline import Missing, moment
from bridge.ingest.followed import Saying


def iso(at_us: int) -> str:
    """ISO 8601 with milliseconds and Z."""
    return moment(at_us).isoformat(timespec="milliseconds")[:23] + "Z"


def of_missing(missing: Missing) -> Saying:
    """Between two times (the second one excluded) events may be missing for good."""
    span = missing.span
    return _gap(
        {"from": iso(span.start), "to": iso(span.stop), "reason": missing.reason, "evidence": missing.evidence}
    )


def of_skipped(skipped: Skipped, from_us: int | None, to_us: int | None) -> Saying:
    """The numbers strictly between two of a connection's chain are not told one by one."""
    return _gap(
        {
            "from": None if from_us is None else iso(from_us),
            "to": None if to_us is None else iso(to_us),
            "after": skipped.after,
            "before": skipped.before,
            "reason": skipped.reason,
            "evidence": {},
        }
    )


def of_broken_value(key: str, expected: str, told: str, from_us: int, to_us: int) -> Saying:
    """Between two events a value changed without one."""
    evidence = {"key": key, "expected": expected, "told": told}
    return _gap({"from": iso(from_us), "to": iso(to_us), "reason": "lost", "evidence": evidence})


def _gap(data: dict[str, object]) -> Saying:
    said = json.dumps(data, separators=(",", ":")).encode()
    return Saying(Kind.GAP, data=said, superseded=data["reason"] == "superseded")
