"""What cannot be shown, as a page: the same words and the same status as the API has for it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bridge.web.page.rendering import Rendering
from bridge.web.problems import HANDLERS

Handler = Callable[[Request, Exception], Awaitable[Response]]
KEPT = ("retry-after", "www-authenticate", "allow", "location")
"""Headers of a problem that its page has too."""


def handlers(rendering: Rendering) -> Mapping[Any, Handler]:
    """By the exception."""
    return {kind: _as_page(rendering, handler) for kind, handler in HANDLERS.items()}


def _as_page(rendering: Rendering, handler: Handler) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        told = await handler(request, error)
        problem = msgspec.json.decode(told.body, type=dict[str, Any])
        headers = {name: value for name, value in told.headers.items() if name in KEPT}
        return rendering.page(
            request, "fault.html", status=told.status_code, headers=headers,
            title=problem["title"], detail=problem["detail"],
        )  # fmt: skip

    return answer
