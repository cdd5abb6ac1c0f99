"""The newest value of everything that a value-linked channel speaks of. Knows neither time nor order."""

from collections import OrderedDict

from bridge.core.channel import Step


class Values:
    """Remembers at most ``values_max`` of them, the longest unheard of goes first."""

    def __init__(self, values_max: int) -> None:
        self._values: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._values_max = values_max

    def follow(self, step: Step, at_us: int) -> tuple[str, int] | None:
        """Take in a change; the value it should have begun at, and since when, where it began at another one."""
        known = self._values.pop(step.key, None)
        self._values[step.key] = step.after, at_us
        if len(self._values) > self._values_max:
            self._values.popitem(last=False)
        return known if known is not None and known[0] != step.before else None

    def forget(self) -> None:
        """Anything may have changed."""
        self._values.clear()
