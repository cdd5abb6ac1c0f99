"""What can be wrong with what was received: each kind of wrong is a type of its own."""


class NotTaken(Exception):
    """It must not be taken. ``status`` is a fitting answer: the bridge sends it again after each of them."""

    status = 400


class NotOurs(NotTaken):
    """No signature of it is made with one of our secrets."""

    status = 401


class TooOld(NotTaken):
    """It is signed with one of our secrets, but not now: somebody may be playing it again."""

    status = 401


class Unreadable(NotTaken):
    """It is signed with one of our secrets, and is nothing that this version knows how to read."""


class Altered(NotTaken):
    """Its content does not have its digest, or its chain value does not follow from what was taken before.

    After a chain value that does not follow, the log on the other side is another one: restored, or rewritten.
    """

    status = 409


class Skipped(NotTaken):
    """Something was sent before it that was not taken here: nothing after ``position`` up to ``previous`` was."""

    status = 409

    def __init__(self, stream: str, *, position: int, previous: int) -> None:
        super().__init__(f"{stream}: position {previous} was sent before this, and {position} is the last one here")
        self.stream = stream
        self.position = position
        self.previous = previous
