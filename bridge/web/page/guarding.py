"""Who may see a page: whoever ``Access`` knows, by a bearer token, or from this machine where there is no token."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.store.tokens import Scope
from bridge.web.access import CALLER, Access, Refusal

Endpoint = Callable[[Request], Awaitable[Response]]


class Guard:
    """Turns an endpoint into one that only a caller reaches whose scope covers what it needs."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __call__(self, endpoint: Endpoint, needed: Scope) -> Endpoint:
        """The endpoint behind the guard. It raises HTTPException for those who may not."""

        async def guarded(request: Request) -> Response:
            peer = request.client.host if request.client else None
            caller = await self._access.caller(request.scope["headers"], peer)
            if isinstance(caller, Refusal):
                raise HTTPException(caller.status, caller.detail, caller.headers)
            request.scope[CALLER] = caller
            if not caller.scope.covers(needed):
                raise HTTPException(403, f"this needs the scope {needed}, and {caller.name} has {caller.scope}")
            return await endpoint(request)

        return guarded
