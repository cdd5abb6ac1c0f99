"""A venue's REST side: one bounded, patient client that keeps to the venue's quota.

Knows no venue. What it cannot get is a VenueError whose text holds no address and no key.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

import httpx

from bridge.clock import Clock
from bridge.core.budget import Budget, Left
from bridge.core.errors import VenueError
from bridge.core.retry import backoff_s, parse_retry_after
from bridge.sources.base import KeyRefused

_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLimits:
    """What the client allows the venue and itself. ``reserve`` tokens are kept back for urgent calls."""

    requests_per_s: float = 20.0
    reserve: float = 4.0
    attempts_max: int = 4
    timeout_s: float = 10.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    retry_after_max_s: float = 300.0
    body_bytes_max: int = 32 * 1024 * 1024
    connections_max: int = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx. ``venue_now`` is the venue's clock in its ``Date`` header, None where absent."""

    body: bytes
    venue_now: datetime | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer. ``again`` says if another try may help, ``asked_s`` how long the venue asked us to wait."""

    error: VenueError
    again: bool
    asked_s: float | None = None


class Sign(Protocol):
    """The headers that sign one request. ``target`` is path and query exactly as they are sent."""

    def __call__(self, method: str, target: str, body: bytes, now: datetime, /) -> Mapping[str, str]: ...


class Judge(Protocol):
    """What one HTTP response means. ``body`` is None where it is larger than allowed."""

    def __call__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        repeatable: bool,
        now: datetime,
        limits: RestLimits,
    ) -> Answer | Failed: ...


class Rest:
    """Asks one venue. ``jitter`` gives numbers in [0, 1); ``transport`` replaces the network.

    ``sign`` signs each try anew. ``verdict`` replaces ``judge`` for a venue whose answers mean other things.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        limits: RestLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sign: Sign | None = None,
        verdict: Judge | None = None,
    ) -> None:
        self._limits = limits or RestLimits()
        self._sign = sign
        self._verdict = verdict or judge
        self._clock = clock
        self._jitter = jitter
        self._budget = Budget(self._limits.requests_per_s, reserve=self._limits.reserve, now=clock.monotonic())
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=dict(headers),
            timeout=self._limits.timeout_s,
            limits=httpx.Limits(max_connections=self._limits.connections_max),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    async def get(self, path: str, params: Mapping[str, str | int], *, urgent: bool = False) -> Answer:
        """The answer to a question that may be repeated. Raises VenueError after the last try."""
        return await self._ask("GET", path, params, None, urgent=urgent)

    async def post(self, path: str, body: bytes) -> Answer:
        """The answer to a request that must not be made twice: repeated only if the first cannot have arrived."""
        return await self._ask("POST", path, {}, body, urgent=True)

    def left(self) -> Left:
        """What is left of the venue's quota just now, as far as this client uses it."""
        return self._budget.left(self._clock.monotonic())

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(
        self, method: str, path: str, params: Mapping[str, str | int], body: bytes | None, *, urgent: bool
    ) -> Answer:
        failures = 0
        while True:
            await self._within_budget(urgent=urgent)
            outcome = await self._try(method, path, params, body)
            if isinstance(outcome, Answer):
                return outcome
            failures += 1
            if outcome.asked_s is not None:
                self._budget.pause(self._clock.monotonic(), outcome.asked_s)
            if not outcome.again or failures >= self._limits.attempts_max:
                raise outcome.error
            if outcome.asked_s is None:
                await self._clock.sleep(
                    backoff_s(
                        failures,
                        first_s=self._limits.backoff_first_s,
                        max_s=self._limits.backoff_max_s,
                        jitter=self._jitter(),
                    )
                )

    async def _within_budget(self, *, urgent: bool) -> None:
        while (wait_s := self._budget.take(self._clock.monotonic(), urgent=urgent)) > 0:
            await self._clock.sleep(wait_s)

    async def _try(
        self, method: str, path: str, params: Mapping[str, str | int], body: bytes | None
    ) -> Answer | Failed:
        headers = {"content-type": "application/json"} if body is not None else {}
        request = self._client.build_request(method, path, params=params, content=body, headers=headers)
        if self._sign is not None:
            target = request.url.raw_path.decode("ascii")
            request.headers.update(self._sign(method, target, body or b"", self._clock.now()))
        try:
            async with asyncio.timeout(self._limits.timeout_s), self._sent(request) as response:
                return self._verdict(
                    response.status_code,
                    response.headers,
                    await self._bounded(response),
                    repeatable=method == "GET",
                    now=self._clock.now(),
                    limits=self._limits,
                )
        except TimeoutError:
            return Failed(VenueError("the venue did not answer in time"), again=method == "GET")
        except httpx.HTTPError as error:
            again = method == "GET" or isinstance(error, _NEVER_ARRIVED)
            return Failed(VenueError(f"the venue cannot be reached: {type(error).__name__}"), again=again)

    @asynccontextmanager
    async def _sent(self, request: httpx.Request) -> AsyncGenerator[httpx.Response, None]:
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _bounded(self, response: httpx.Response) -> bytes | None:
        """The body, or None where it is larger than allowed; what is too large is not read to its end."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._limits.body_bytes_max:
                return None
            parts.append(part)
        return b"".join(parts)


def judge(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    repeatable: bool,
    now: datetime,
    limits: RestLimits,
) -> Answer | Failed:
    """What an HTTP response means: an answer, or a failure that another try may or may not mend."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Failed(KeyRefused(f"the venue refuses the key (HTTP {status})"), again=False)
    if 200 <= status < 300:
        if body is None:
            return Failed(VenueError("the venue's answer is too large"), again=False)
        return Answer(body, _date(headers.get("date")))
    error = VenueError(f"the venue answered HTTP {status}")
    asked_s = parse_retry_after(headers.get("retry-after"), now=now, max_s=limits.retry_after_max_s)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failed(error, again=True, asked_s=asked_s)
    if status >= 500:
        return Failed(error, again=repeatable, asked_s=asked_s)
    return Failed(error, again=False)


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value) if value is not None else None
    except (ValueError, OverflowError):
        return None
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
