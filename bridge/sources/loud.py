"""Says aloud what should not happen, without letting whoever causes it fill the log."""

from collections.abc import Callable

import structlog

from bridge.clock import Clock

NAMES_MAX = 256


class Loud:
    """Counts what is said under a name, and writes at most one line per name in ``every_s`` seconds."""

    def __init__(self, clock: Clock, *, every_s: float = 10.0, write: Callable[..., object] | None = None) -> None:
        self._clock = clock
        self._every_s = every_s
        self._write = write or structlog.get_logger().warning
        self._counts: dict[str, int] = {}
        self._written: dict[str, tuple[float, int]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How often each name was said."""
        return dict(self._counts)

    def say(self, event: str, *, times: int = 1, **fields: object) -> None:
        """Count ``event``; write it, with how often it was said since the last line, unless that was just now."""
        if event not in self._counts and len(self._counts) >= NAMES_MAX:
            return
        total = self._counts[event] = self._counts.get(event, 0) + times
        now = self._clock.monotonic()
        at, told = self._written.get(event, (float("-inf"), 0))
        if now - at >= self._every_s:
            self._written[event] = (now, total)
            self._write(event, times=total - told, **fields)
