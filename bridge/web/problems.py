"""Errors as ``application/problem+json``: what is wrong and what to do, never what was given."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.core.errors import BridgeError, StoreUnavailable
from bridge.operate.faults import Conflict, Invalid, Unknown
from bridge.store.vault import NoSecretKey

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

log = structlog.get_logger()


class BadParameter(Exception):
    """A query parameter that cannot be used; ``name`` says which one."""

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what
        super().__init__(f"{name}: {what}")


class TooLarge(Exception):
    """The body is larger than any that is meant."""


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: object) -> Response:
    """A problem document. ``members`` are further members of it."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return Response(msgspec.json.encode(told), status, headers=headers, media_type=MEDIA_TYPE)


async def on_bad_parameter(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)
    return problem(400, str(error), parameter=error.name)


async def on_too_large(_request: Request, _error: Exception) -> Response:
    return problem(413, "the body is too large")


async def on_unknown(_request: Request, error: Exception) -> Response:
    return problem(404, str(error))


async def on_conflict(_request: Request, error: Exception) -> Response:
    return problem(409, str(error))


async def on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)
    return problem(422, str(error), problems=[{"field": field, "what": what} for field, what in error.problems])


async def on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, headers=error.headers)


async def on_unavailable(_request: Request, error: Exception) -> Response:
    return problem(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})


async def on_fault(request: Request, error: Exception) -> Response:
    """A fault that the bridge can name: its text says what to do and holds no secret."""
    log.error("request.failed", path=request.scope["path"], error=type(error).__name__, reason=str(error))
    return problem(500, str(error))


async def on_anything(_request: Request, _error: Exception) -> Response:
    """A fault of ours; it is raised again after this answer, and so it is logged."""
    return problem(500, "the bridge has a fault; its log says more")


HANDLERS = {
    BadParameter: on_bad_parameter,
    TooLarge: on_too_large,
    Unknown: on_unknown,
    Conflict: on_conflict,
    NoSecretKey: on_conflict,
    Invalid: on_invalid,
    HTTPException: on_http,
    StoreUnavailable: on_unavailable,
    BridgeError: on_fault,
    Exception: on_anything,
}
