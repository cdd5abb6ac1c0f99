"""A dialect on real loopback sockets: what is told, what is refused, and how the line breaks on request."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.clock import SystemClock
from bridge.sim.market import Faults
from tests.sim.market_dialect import PATIENCE_S, running


async def hear(socket: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(PATIENCE_S):
        return msgspec.json.decode(await socket.recv(), type=dict[str, object])


async def subscribed(socket: ClientConnection, topic: str) -> None:
    assert await hear(socket) == {"type": "welcome"}
    await socket.send(msgspec.json.encode({"sub": topic}).decode())
    assert await hear(socket) == {"ack": topic}


async def end_of(socket: ClientConnection) -> int | None:
    """Read until the connection is gone. Returns the close code."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


async def test_every_subscriber_hears_everything_that_the_truth_knows() -> None:
    async with running() as venue, venue.socket() as socket, venue.socket() as deaf:
        await subscribed(socket, "trade.SOL_USDT")
        await subscribed(deaf, "fill")
        await venue.order("emit", count=300)
        truth = await venue.truth("trade.SOL_USDT")
        heard = [(await hear(socket))["id"] for _ in truth]
        assert heard == [row["id"] for row in truth]
        assert len(set(map(str, heard))) < len(heard), "there must be twins among them"
        fills = await venue.truth("fill")
        assert [(await hear(deaf))["id"] for _ in fills] == [row["id"] for row in fills]


async def test_a_snapshot_told_to_one_client_is_optional_in_the_truth() -> None:
    async with running() as venue, venue.socket() as socket:
        await subscribed(socket, "book.SOL_USDT")
        number = (await hear(socket))["snapshot"]
        await venue.order("emit", count=50)
        rows = await venue.truth("book.SOL_USDT", limit=7)
        assert [row["id"] for row in rows if row["optional"]] == [f"snapshot:{number}"]
        chain = [(row["previous"], row["number"]) for row in rows if not row["optional"]]
        assert chain[0][0] == number
        assert all(before[1] == after[0] for before, after in pairwise(chain))


async def test_a_dropped_frame_is_swallowed_and_a_spoilt_one_is_no_json() -> None:
    faults = Faults(drop_rate=0.3, corrupt_rate=0.3)
    async with running(faults=faults) as venue, venue.socket() as socket:
        await subscribed(socket, "trade.SOL_USDT")
        await venue.order("emit", count=400)
        truth = await venue.truth("trade.SOL_USDT")
        counts = (await venue.http.get("/_sim/")).json()["wire_counts"]
        await socket.send('{"ping":1}')
        heard, spoilt = [], 0
        while True:
            frame = await socket.recv()
            try:
                told = msgspec.json.decode(frame, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeDecodeError):
                spoilt += 1
                continue
            if "pong" in told:
                break
            heard.append(told["id"])
        assert heard == [row["id"] for row in truth if not row["swallowed"]]
        assert 0 < spoilt <= counts["corrupted"]
        assert counts["dropped"] > 0


async def test_a_bad_token_is_refused_at_the_upgrade() -> None:
    async with running() as venue:
        with pytest.raises(InvalidStatus) as refused:
            await venue.socket("bad").__aenter__()
        assert refused.value.response.status_code == 401


@pytest.mark.parametrize("faults, status", [(Faults(refuse_upgrade_rate=1), 503), (Faults(expired_rate=1), 401)])
async def test_upgrades_are_refused_on_request(faults: Faults, status: int) -> None:
    async with running(faults=faults) as venue:
        with pytest.raises(InvalidStatus) as refused:
            await venue.socket().__aenter__()
        assert refused.value.response.status_code == status


async def test_a_silent_client_is_cut_without_a_word_although_frames_flow() -> None:
    async with running(options={"silence_s": 0.2}, events_per_s=200.0) as venue, venue.socket() as socket:
        await subscribed(socket, "trade.SOL_USDT")
        assert await end_of(socket) == 1006


async def test_connections_are_cut_or_closed_with_a_code_on_request() -> None:
    async with running() as venue:
        async with venue.socket() as socket:
            await hear(socket)
            assert await venue.order("cut") == {"cut": 1}
            assert await end_of(socket) == 1006
        async with venue.socket() as socket:
            await hear(socket)
            assert await venue.order("close", code=1012, reason="service restart") == {"closed": 1}
            assert await end_of(socket) == 1012
            assert socket.close_reason == "service restart"


async def test_a_dialect_closes_with_its_own_code() -> None:
    async with running() as venue, venue.socket() as socket:
        await hear(socket)
        await socket.send('{"bye":4001}')
        assert await end_of(socket) == 4001


async def test_connections_are_cut_and_closed_by_the_clock() -> None:
    for faults, code in (Faults(cut_every_s=0.2), 1006), (Faults(close_every_s=0.2, close_code=4002), 4002):
        lasted_s, clock = [], SystemClock()
        async with running(faults=faults) as venue:
            for _ in range(3):
                async with venue.socket() as socket:
                    began_s = clock.monotonic()
                    assert await end_of(socket) == code
                    lasted_s.append(clock.monotonic() - began_s)
        assert max(lasted_s[1:]) > 0.1, "a connection is left in peace until its time comes"


async def test_a_silent_venue_says_nothing_until_its_time_is_over() -> None:
    async with running() as venue, venue.socket() as socket:
        await subscribed(socket, "fill")
        await venue.order("silence", seconds=60)
        await venue.order("emit", count=100)
        await socket.send('{"ping":1}')
        assert (await venue.http.get("/_sim/")).json()["silent"]
        await (await socket.ping())  # the line itself is well: the venue has read what was said before
        await venue.order("silence", seconds=0)
        await socket.send('{"ping":2}')
        assert await hear(socket) == {"pong": 2}, "pushes are lost, and the ping of that time too"


async def test_a_half_open_line_is_not_read_from_and_cut_in_the_end() -> None:
    async with running(faults=Faults(half_open=True)) as venue, venue.socket() as socket:
        await subscribed(socket, "fill")
        await venue.order("silence", seconds=60)
        pong = await socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.2)
        await venue.order("silence", seconds=0)
        assert await end_of(socket) == 1006


async def test_a_venue_that_is_down_refuses_rest_and_cuts_sockets() -> None:
    async with running() as venue, venue.socket() as socket:
        await hear(socket)
        await venue.order("down", seconds=60)
        await end_of(socket)
        assert (await venue.http.get("/token")).status_code == 503
        await venue.order("down", seconds=0)
        assert (await venue.http.get("/token")).status_code == 200


async def test_the_venues_clock_is_skewed_on_request() -> None:
    async with running(faults=Faults(skew_s=-3600)) as venue:
        state = (await venue.http.get("/_sim/")).json()
        assert state["now"] - state["venue_time"] == pytest.approx(3600)
        await venue.order("emit", count=30)
        rows = await venue.truth("trade.SOL_USDT")
        assert all(float(str(row["at_ms"])) / 1000 < state["now"] - 3500 for row in rows)


async def test_draining_waits_for_frames_that_are_held_back() -> None:
    async with running(faults=Faults(delay_rate=1, delay_max_s=0.3)) as venue, venue.socket() as socket:
        await subscribed(socket, "trade.SOL_USDT")
        await venue.order("emit", count=50)
        assert (await venue.http.get("/_sim/")).json()["pending_frames"] > 0
        assert await venue.order("drain") == {"drained": True, "pending_frames": 0}
        truth = await venue.truth("trade.SOL_USDT")
        heard = [(await hear(socket))["id"] for _ in truth]
        assert sorted(map(str, heard)) == sorted(str(row["id"]) for row in truth)


async def test_the_control_plane_refuses_what_makes_no_sense() -> None:
    async with running() as venue:
        for name, body in (
            ("faults", {"drop_rate": 2}),
            ("faults", {"no_such": 1}),
            ("emit", {"count": -1}),
            ("close", {"code": 7}),
            ("silence", {"seconds": -1}),
            ("rate", {"events_per_s": -1}),
        ):
            assert (await venue.http.post(f"/_sim/{name}", json=body)).status_code == 400, name
        assert await venue.order("rate", events_per_s=5) == {"events_per_s": 5}
        assert "series" in await venue.order("stop")
        assert (await venue.http.get("/_sim/")).json()["events_per_s"] == 0
