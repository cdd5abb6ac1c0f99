"""How a connection comes to be: a one-time token for each, asked for over REST, then the socket."""

from datetime import datetime
from urllib.parse import urlencode

from bridge.clock import Clock
from bridge.core.budget import Budget
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.cryptomus.rows import token_of
from bridge.sources.cryptomus.verdict import NotFound
from bridge.sources.rest import Rest
from bridge.sources.wire import Closed, WebSocketWire, WireLimits

TOKEN_PATH = "/v2/user-api/exchange/account/web-socket/token"  # noqa: S105 (a path, no secret)
CONNECTS_PER_S = 2.0
_NO_CODE = -1
"""No close code stands for a refused key: keys are judged where the token is asked for."""


class Desk:
    """Gives connections to all lines of a source, not more than the venue should have to bear."""

    def __init__(self, rest: Rest, ws_url: str, limits: WireLimits, clock: Clock) -> None:
        self._rest = rest
        self._ws_url = ws_url
        self._limits = limits
        self._clock = clock
        self._budget = Budget(CONNECTS_PER_S, now=clock.monotonic())

    async def dial(self) -> tuple[WebSocketWire, datetime | None]:
        """An open connection, and the venue's clock when it gave the token. Raises Closed."""
        while (wait_s := self._budget.take(self._clock.monotonic(), urgent=True)) > 0:
            await self._clock.sleep(wait_s)
        try:
            answer = await self._rest.get(TOKEN_PATH, {}, urgent=True)
            token = token_of(answer.body)
        except (KeyRefused, NotFound):
            raise Closed("the venue gives this user no token", refused=True) from None
        except VenueError as error:
            raise Closed(f"no token: {error}") from None
        url = f"{self._ws_url}{'&' if '?' in self._ws_url else '?'}{urlencode({'token': token})}"
        try:
            wire = await WebSocketWire.dial(url, {}, self._limits, refused_code=_NO_CODE)
        except Closed as end:
            # A token that is used up or expired says nothing of the key: the next one is new.
            raise Closed(end.reason) from None
        return wire, answer.venue_now
