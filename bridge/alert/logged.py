"""The channel that is always there: a line in the log of the process."""

from collections.abc import Mapping

import structlog

from bridge.alert.channel import Accepted, Sent
from bridge.alert.notice import Message
from bridge.alert.values import LOG, Kind

log = structlog.get_logger()

_EVENTS: Mapping[Kind, str] = {
    Kind.FIRING: "alert.firing",
    Kind.WORSE: "alert.worse",
    Kind.AGAIN: "alert.again",
    Kind.RESOLVED: "alert.resolved",
    Kind.SUMMARY: "alert.summary",
    Kind.TEST: "alert.test",
}


class LogChannel:
    """Writes every notice as one line."""

    name = LOG
    severity = "warning"
    timeout_s = 1.0

    async def send(self, message: Message) -> Sent:
        """Write it: as an error what is critical, as information what is over."""
        write = log.error if message.severity == "critical" else log.warning
        if message.kind in (Kind.RESOLVED, Kind.TEST):
            write = log.info
        names = {"rule": message.rule, "subject": message.subject} if message.rule else {}
        write(
            _EVENTS[message.kind],
            severity=message.severity,
            **names,
            says=message.sentence,
            figures=dict(message.figures),
            key=message.key,
        )
        return Accepted()
