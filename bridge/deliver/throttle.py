"""How often a destination may be posted to: one budget for all its streams, in this worker."""

from bridge.core.budget import Budget
from bridge.core.destination import DestinationPolicy


class Throttle:
    """Budgets by destination; one whose rate has changed gets a new one."""

    def __init__(self) -> None:
        self._budgets: dict[str, tuple[float, Budget]] = {}

    def wait_s(self, policy: DestinationPolicy, *, monotonic: float) -> float:
        """0.0, and a POST may go out; or the seconds after which to ask again."""
        if policy.rate_per_s is None:
            return 0.0
        known = self._budgets.get(policy.name)
        if known is None or known[0] != policy.rate_per_s:
            budget = Budget(policy.rate_per_s, burst=1, now=monotonic)
            known = self._budgets[policy.name] = policy.rate_per_s, budget
        return known[1].take(monotonic)
