"""What control planes have in common: JSON in and out, and only for callers on loopback."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

EMIT_MAX = 100_000
SECONDS_MAX = 86_400
_LOOPBACK = frozenset({"127.0.0.1", "::1"})

Answering = Callable[[Request], Awaitable[dict[str, object]]]


class Seconds(msgspec.Struct, frozen=True):
    seconds: float


class Count(msgspec.Struct, frozen=True):
    count: int = 1


class Rate(msgspec.Struct, frozen=True):
    events_per_s: float


def near(answer: Answering) -> Callable[[Request], Awaitable[Response]]:
    """JSON in and out; 404 for callers that are not on loopback, 400 for what cannot be read."""

    async def respond(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return Response(status_code=404)
        try:
            told, status = await answer(request), 200
        except ValueError as wrong:  # msgspec's own errors are ValueErrors too
            told, status = {"error": str(wrong)}, 400
        return Response(msgspec.json.encode(told), status, media_type="application/json")

    return respond


async def seconds_of(request: Request) -> float:
    seconds = msgspec.json.decode(await request.body(), type=Seconds).seconds
    if not 0 <= seconds <= SECONDS_MAX:
        raise ValueError(f"seconds must be from 0 to {SECONDS_MAX}")
    return seconds


async def count_of(request: Request) -> int:
    """How many events to emit: 1 unless told."""
    count = msgspec.json.decode(await request.body() or b"{}", type=Count).count
    if not 0 <= count <= EMIT_MAX:
        raise ValueError(f"count must be from 0 to {EMIT_MAX}")
    return count


async def rate_of(request: Request) -> float:
    rate = msgspec.json.decode(await request.body(), type=Rate).events_per_s
    if not 0 <= rate <= EMIT_MAX:
        raise ValueError(f"events_per_s must be from 0 to {EMIT_MAX}")
    return rate
