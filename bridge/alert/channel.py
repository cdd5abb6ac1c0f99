"""What every channel is: a name, how bad something must be to be told there, and a way to tell it."""

from dataclasses import dataclass
from typing import Protocol

from bridge.alert.notice import Message


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side has it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It has not, or nobody knows. ``reason`` holds no secret; ``wait_s`` is what the other side asked for."""

    reason: str
    wait_s: float = 0.0


Sent = Accepted | Failed


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str: ...

    @property
    def severity(self) -> str:
        """The least that is told here."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long telling takes at most."""
        ...

    async def send(self, message: Message) -> Sent:
        """Tell it once. Never raises for what the other side does."""
        ...
