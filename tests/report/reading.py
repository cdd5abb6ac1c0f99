"""Reports as tests look at them: whole."""

import msgspec

from bridge.report import Written
from bridge.report.shape import Report


def bytes_of(written: Written) -> bytes:
    return b"".join(written.chunks())


def whole(written: Written) -> Report:
    """All of it at once, as somebody reads it who has its JSON and nothing else."""
    return msgspec.json.decode(bytes_of(written), type=Report)


def written(report: Report) -> Written:
    return Written.of([msgspec.json.encode(report)])
