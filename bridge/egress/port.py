"""What the rest of the bridge knows of outgoing requests."""

from collections.abc import Mapping
from typing import Protocol

from bridge.core.delivery import Outcome


class Egress(Protocol):
    """A way to post that never raises for what the other side, or the network, does."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        """The outcome, within ``timeout_s``."""
        ...
