"""The style and the script of the pages. They are part of the package, and come from nowhere else."""

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PREFIX = "/static"
MEDIA_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}
KEPT_S = 31_536_000
"""A changed file has a changed address, so browsers may keep them."""


class Static:
    """The files, read once."""

    def __init__(self) -> None:
        folder = files("bridge.web.page") / "static"
        self._files = {name: (folder / name).read_bytes() for name in MEDIA_TYPES}
        self._digests = {name: hashlib.sha256(held).hexdigest()[:16] for name, held in self._files.items()}

    def path_of(self, name: str) -> str:
        """Where a page finds the file."""
        return f"{PREFIX}/{name}?v={self._digests[name]}"

    def routes(self) -> list[Route]:
        return [Route(f"{PREFIX}/{name}", self._answer) for name in MEDIA_TYPES]

    async def _answer(self, request: Request) -> Response:
        name = request.scope["path"].rpartition("/")[2]
        is_this = request.query_params.get("v") == self._digests[name]
        headers = {
            "Cache-Control": f"public, max-age={KEPT_S}, immutable" if is_this else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(self._files[name], headers=headers, media_type=MEDIA_TYPES[name])
