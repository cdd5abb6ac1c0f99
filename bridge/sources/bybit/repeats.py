"""Frames that a connection says twice, byte for byte, on topics whose events nothing else tells apart. Pure.

Each such frame carries the venue's time, and equal events of one push are in one frame: a frame that comes again is
a repetition, and no twin.
"""

from collections import deque
from collections.abc import Iterable

from bridge.core.channel import Model
from bridge.core.event import digest_of
from bridge.sources.bybit.channels import Topic

FRAMES_MAX = 64
_NOT_TOLD_APART = frozenset({Model.MERGE, Model.NONE})


class Repeats:
    """Remembers the newest FRAMES_MAX frames of each such topic."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._digests: dict[str, deque[bytes]] = {
            topic.name: deque(maxlen=FRAMES_MAX) for topic in topics if topic.channel.model in _NOT_TOLD_APART
        }

    def knows(self, topic: str, frame: bytes) -> bool:
        """Whether ``frame`` was said before; from now on it was."""
        digests = self._digests.get(topic)
        if digests is None:
            return False
        digest = digest_of(frame)
        if digest in digests:
            return True
        digests.append(digest)
        return False
