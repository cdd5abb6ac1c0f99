"""A notice as a channel tells it: plain values out of a stored message, and the text that all channels share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.alert.deciding import Saying
from bridge.alert.values import Kind
from bridge.alert.words import moment

_HEADINGS: Mapping[Kind, str] = {
    Kind.FIRING: "",
    Kind.WORSE: "worse, ",
    Kind.AGAIN: "again, ",
    Kind.RESOLVED: "resolved, ",
    Kind.SUMMARY: "",
    Kind.TEST: "test, ",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told. ``key`` is the same at every attempt: who gets it twice knows it by that.

    ``thread`` is the same for all notices of one alert, and None for what belongs to none.
    """

    key: str
    thread: str | None
    kind: Kind
    severity: str
    rule: str
    subject: str
    sentence: str
    figures: Mapping[str, Any]
    decided_at: datetime

    @property
    def heading(self) -> str:
        """``critical: stopped ledger``, ``resolved, warning: gap_open pb.events``."""
        about = f": {self.rule} {self.subject}" if self.rule else ""
        return f"{_HEADINGS[self.kind]}{self.severity}{about}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentence, the figures, and when and under which key it was said."""
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items() if value is not None)
        said = f"{moment(self.decided_at)}, {self.key}"
        return tuple(line for line in (self.sentence, figures, said) if line)


def stored(saying: Saying) -> dict[str, object]:
    """What of a saying is kept in its row."""
    alert = saying.alert
    return {
        "severity": saying.severity,
        "sentence": saying.sentence,
        "rule": "" if alert is None else alert.rule,
        "subject": "" if alert is None else alert.subject,
        "figures": {} if alert is None else alert.figures,
    }


def message_of(
    notice_id: int, alert_id: int | None, kind: str, kept: Mapping[str, Any], decided_at: datetime
) -> Message:
    """The message of a stored notice."""
    return Message(
        key=f"notice-{notice_id}",
        thread=None if alert_id is None else f"alert-{alert_id}",
        kind=Kind(kind),
        severity=kept["severity"],
        rule=kept["rule"],
        subject=kept["subject"],
        sentence=kept["sentence"],
        figures=kept["figures"],
        decided_at=decided_at,
    )


def trial_message(key: str, now: datetime) -> Message:
    """What a person sends to see whether it arrives."""
    sentence = "This is a test. If you can read it, alerts reach you here."
    return Message(key, None, Kind.TEST, "warning", "", "", sentence, {}, now)
