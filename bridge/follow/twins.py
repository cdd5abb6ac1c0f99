"""Identical events of a channel without ids stay as many as they were: the n-th of a kind has an id of its own."""

from collections import OrderedDict

from bridge.core.channel import Told

CONTENTS_MAX = 50_000


class Twins:
    """Counts equal contents within one telling: one session of a connection, or one answer of a list.

    Two tellings of the same two prints count to two each, and so agree; a content that was forgotten begins anew.
    """

    def __init__(self, contents_max: int = CONTENTS_MAX) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._contents_max = contents_max

    def tell_apart(self, told: Told) -> Told:
        """The event under an id that only its equals in other tellings have."""
        content = told.event.event_id
        count = self._counts[content] = self._counts.get(content, 0) + 1
        if len(self._counts) > self._contents_max:
            self._counts.popitem(last=False)
        return told._replace(event=told.event._replace(event_id=f"{content}#{count}"))
