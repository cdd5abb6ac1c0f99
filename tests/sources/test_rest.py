"""The patient client: how it counts, waits and gives up, on a clock moved by hand."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.budget import Left
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.rest import Answer, Failed, Rest, RestLimits, judge

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
KEY = "key-nobody-may-see"
HOST = "venue-host-nobody-may-see"
Act = Callable[[], httpx.Response]


@dataclass
class Net:
    """Answers as it is told to, and the last of it again and again."""

    acts: list[Act]
    clock: ManualClock
    asked_at: list[float] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked_at.append(self.clock.monotonic())
        self.requests.append(request)
        return (self.acts.pop(0) if len(self.acts) > 1 else self.acts[0])()


def status(code: int, body: bytes = b"{}", **headers: str) -> Act:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx.Response(code, content=body, headers=told)


def fault(kind: type[httpx.HTTPError]) -> Act:
    def act() -> httpx.Response:
        raise kind(f"cannot reach {HOST} with {KEY}")

    return act


@asynccontextmanager
async def asking(*acts: Act, **limits: float) -> AsyncIterator[tuple[Rest, Net]]:
    clock = ManualClock(START)
    net = Net(list(acts), clock)
    rest = Rest(
        f"http://{HOST}",
        {"X-Api-Key": KEY},
        clock=clock,
        jitter=lambda: 0.5,
        limits=RestLimits(**limits),  # type: ignore[arg-type] # numbers all of them
        transport=httpx.MockTransport(net.answer),
    )
    try:
        yield rest, net
    finally:
        await rest.close()


async def test_an_answer_carries_the_venues_own_time() -> None:
    async with asking(status(200, b"[1]", date="Wed, 18 Feb 2026 22:59:58 GMT")) as (rest, net):
        answer = await rest.get("/x", {"since": 4})
        assert answer.body == b"[1]"
        assert answer.venue_now == datetime(2026, 2, 18, 22, 59, 58, tzinfo=UTC)
        assert net.requests[0].headers["x-api-key"] == KEY
        assert net.requests[0].url.query == b"since=4"


@pytest.mark.parametrize("date", ["", "soon", "Wed, 99 Feb 2026 22:59:58 GMT"])
async def test_a_date_that_cannot_be_read_is_none(date: str) -> None:
    async with asking(status(200, date=date)) as (rest, _):
        assert (await rest.get("/x", {})).venue_now is None


@pytest.mark.parametrize(
    "act",
    [
        status(500),
        status(503),
        status(429),
        fault(httpx.ConnectError),
        fault(httpx.ReadTimeout),
        fault(httpx.ReadError),
    ],
)
async def test_what_may_mend_is_tried_again_with_backoff(act: Act) -> None:
    async with asking(act, act, status(200), backoff_first_s=1.0, backoff_max_s=8.0) as (rest, net):
        await rest.get("/x", {})
        assert net.asked_at == pytest.approx([0.0, 0.5, 1.5])


async def test_the_tries_are_bounded_and_so_is_the_wait() -> None:
    async with asking(status(500), attempts_max=6, backoff_first_s=1.0, backoff_max_s=2.0) as (rest, net):
        with pytest.raises(VenueError, match="500"):
            await rest.get("/x", {})
        assert net.asked_at == pytest.approx([0.0, 0.5, 1.5, 2.5, 3.5, 4.5])


@pytest.mark.parametrize("code", [301, 302, 307, 400, 404, 422])
async def test_what_will_not_mend_is_not_tried_again(code: int) -> None:
    async with asking(status(code, location=f"http://{HOST}/elsewhere")) as (rest, net):
        with pytest.raises(VenueError, match=str(code)) as failed:
            await rest.get("/x", {})
        assert not isinstance(failed.value, KeyRefused)
        assert len(net.requests) == 1


@pytest.mark.parametrize("code", [401, 403])
async def test_a_refused_key_is_told_apart(code: int) -> None:
    async with asking(status(code)) as (rest, net):
        with pytest.raises(KeyRefused):
            await rest.get("/x", {})
        assert len(net.requests) == 1


async def test_no_error_shows_the_address_or_the_key() -> None:
    async with asking(fault(httpx.ConnectError), attempts_max=1) as (rest, _):
        with pytest.raises(VenueError) as failed:
            await rest.get("/x", {})
        assert HOST not in str(failed.value)
        assert KEY not in str(failed.value)


async def test_retry_after_is_honoured_by_every_call_and_bounded() -> None:
    busy = status(429, retry_after="7")
    async with asking(busy, status(200)) as (rest, net):
        await rest.get("/x", {})
        assert net.asked_at == pytest.approx([0.0, 7.0])
    async with asking(status(503, retry_after="9000"), status(200), attempts_max=1, retry_after_max_s=60) as (
        rest,
        net,
    ):
        with pytest.raises(VenueError):
            await rest.get("/x", {})
        await rest.get("/y", {}, urgent=True)
        assert net.asked_at == pytest.approx([0.0, 60.0])


async def test_retry_after_may_be_a_date() -> None:
    async with asking(status(503, retry_after="Wed, 18 Feb 2026 23:00:09 GMT"), status(200)) as (rest, net):
        await rest.get("/x", {})
        assert net.asked_at == pytest.approx([0.0, 9.0])


async def test_the_quota_is_kept_and_its_reserve_is_for_urgent_calls() -> None:
    async with asking(status(200), requests_per_s=4.0, reserve=2.0) as (rest, net):
        for _ in range(3):
            await rest.get("/x", {})
        assert net.asked_at == pytest.approx([0.0, 0.0, 0.25])
        await rest.get("/x", {}, urgent=True)
        await rest.get("/x", {}, urgent=True)
        assert net.asked_at[3:] == pytest.approx([0.25, 0.25])


async def test_what_is_left_of_the_quota_is_told_with_the_pause_that_the_venue_asked_for() -> None:
    async with asking(status(200), status(429, retry_after="7"), requests_per_s=10.0, attempts_max=1) as (rest, _):
        await rest.get("/", {})
        assert rest.left() == Left(per_s=10, burst=10, tokens=9, paused_s=0)
        with pytest.raises(VenueError):
            await rest.get("/", {})
        assert rest.left() == Left(per_s=10, burst=10, tokens=8, paused_s=7)


async def test_a_body_beyond_the_bound_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal sent
        while True:
            sent += 100
            yield b"x" * 100

    async with (
        aclosing(endless()) as body,
        asking(lambda: httpx.Response(200, content=body), body_bytes_max=1000.0) as (rest, _),
    ):
        with pytest.raises(VenueError, match="large"):
            await rest.get("/x", {})
    assert sent <= 1200


@pytest.mark.parametrize("act", [status(500), status(502), fault(httpx.ReadTimeout), fault(httpx.ReadError)])
async def test_what_may_have_arrived_is_not_posted_twice(act: Act) -> None:
    async with asking(act, status(201)) as (rest, net):
        with pytest.raises(VenueError):
            await rest.post("/x", b"{}")
        assert len(net.requests) == 1


@pytest.mark.parametrize("act", [status(429), fault(httpx.ConnectError), fault(httpx.ConnectTimeout)])
async def test_what_cannot_have_arrived_is_posted_again(act: Act) -> None:
    async with asking(act, status(201)) as (rest, net):
        await rest.post("/x", b"{}")
        assert [request.content for request in net.requests] == [b"{}", b"{}"]


async def test_each_try_is_signed_anew_over_what_is_really_sent() -> None:
    clock = ManualClock(START)
    net = Net([status(500), status(200)], clock)
    signed: list[tuple[str, str, bytes, datetime]] = []

    def sign(method: str, target: str, body: bytes, now: datetime) -> Mapping[str, str]:
        signed.append((method, target, body, now))
        return {"x-signature": str(len(signed))}

    rest = Rest(
        f"http://{HOST}/base",
        {},
        clock=clock,
        jitter=lambda: 0.5,
        transport=httpx.MockTransport(net.answer),
        sign=sign,
    )
    await rest.get("/x", {"cursor": "a%2C b&c=:é", "limit": 5})
    await rest.close()
    assert [(method, target, body) for method, target, body, _ in signed] == [
        (request.method, request.url.raw_path.decode(), request.content) for request in net.requests
    ]
    assert signed[0][1].startswith("/base/x?cursor=a%252C")
    assert [request.headers["x-signature"] for request in net.requests] == ["1", "2"]
    assert signed[1][3] > signed[0][3] == START


async def test_a_venue_may_judge_its_answers_itself() -> None:
    def verdict(status: int, headers: Mapping[str, str], body: bytes | None, **rest: Any) -> Answer | Failed:
        if body == b"busy":
            return Failed(VenueError("busy"), again=True, asked_s=7.0)
        return judge(status, headers, body, **rest)

    clock = ManualClock(START)
    net = Net([status(200, b"busy"), status(200, b"done")], clock)
    transport = httpx.MockTransport(net.answer)
    rest = Rest(f"http://{HOST}", {}, clock=clock, jitter=lambda: 0.5, transport=transport, verdict=verdict)
    assert (await rest.get("/x", {})).body == b"done"
    await rest.close()
    assert net.asked_at[1] - net.asked_at[0] >= 7.0
