"""One line of a source as its follower knows it: what it hears, and how far that is proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.follow.opening import FollowedStream
from bridge.sources.market import Line

_BADNESS = ("connected", "connecting", "disconnected", "misconfigured")


@dataclass(slots=True)
class Hearing:
    """What is known of a line. ``proven_us`` is the venue's time up to which its connection has told everything."""

    line: Line
    streams: Mapping[str, FollowedStream]
    proven_us: int | None = None
    proven_at_s: float = 0.0
    subscribed: set[str] = field(default_factory=set)
    state: str = "connecting"
    detail: str = ""

    def state_of(self, series: str) -> tuple[str, str]:
        """What people are told of one of its channels: the state, and why."""
        if series in self.subscribed:
            return "subscribed", ""
        if self.state == "connected":
            return "refused", "the venue does not let us hear it"
        return ("connecting" if self.state == "connecting" else "unsubscribed"), self.detail


def worst(lines: Sequence[Hearing]) -> tuple[str, str]:
    """State and detail of the line that needs attention most."""
    line = max(lines, key=lambda line: _BADNESS.index(line.state))
    return line.state, f"{line.line.name}: {line.detail}" if line.detail else ""
