"""The venue as a running thing: sockets that break, webhooks that arrive, a control plane that knows."""

import asyncio
import hashlib
import hmac
import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bridge.sim.playbatman import MARKETS, Faults, SimConfig, SocketLimits
from tests.sim.serving import PATIENCE_S, hear, receiving, running
from tests.sim.support import events_of

QUIET = SimConfig(events_per_s=0)
PING = '{"type":"PING"}'
SUBSCRIBE = json.dumps({"type": "SUBSCRIBE", "payload": {"marketIds": list(MARKETS)}})


@pytest.mark.parametrize("in_query", [False, True], ids=["header", "query"])
async def test_a_socket_with_the_key_is_authenticated_first(in_query: bool) -> None:
    async with running(QUIET) as venue, venue.socket(in_query=in_query) as socket:
        assert (await hear(socket))["type"] == "AUTHENTICATED"
        await socket.send(PING)
        assert await hear(socket) == {"type": "PONG"}


@pytest.mark.parametrize("in_query", [False, True], ids=["header", "query"])
async def test_a_bad_key_is_upgraded_and_then_closed_with_4001(in_query: bool) -> None:
    async with running(QUIET) as venue, venue.socket(key="wrong", in_query=in_query) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "Unauthorized")


async def test_a_subscriber_hears_what_happens_and_others_hear_nothing() -> None:
    async with running(QUIET) as venue, venue.socket() as listening, venue.socket() as idle:
        await hear(listening)
        await hear(idle)
        await listening.send(SUBSCRIBE)
        assert (await hear(listening))["type"] == "SUBSCRIBED"
        await venue.told("emit", count=50)
        assert set(await hear(listening)) == {"type", "payload"}
        await idle.send(PING)
        assert await hear(idle) == {"type": "PONG"}


async def test_junk_leaves_the_socket_open() -> None:
    async with running(QUIET) as venue, venue.socket() as socket:
        await hear(socket)
        for junk in ("{", b"\xff\x00", "[1]"):
            await socket.send(junk)
            assert (await hear(socket))["type"] == "ERROR"
        await socket.send(PING)
        assert await hear(socket) == {"type": "PONG"}


async def test_a_cut_socket_ends_without_a_close_frame() -> None:
    async with running(QUIET) as venue, venue.socket() as socket:
        await hear(socket)
        assert await venue.told("cut-sockets") == {"cut": 1}
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is None


async def test_sockets_are_cut_by_the_clock() -> None:
    config = SimConfig(events_per_s=0, faults=Faults(cut_every_s=0.5))
    async with running(config) as venue, venue.socket() as socket:
        await hear(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is None


async def test_a_silenced_socket_is_open_and_says_nothing_not_even_pong() -> None:
    async with running(QUIET) as venue, venue.socket() as socket:
        await hear(socket)
        await socket.send(SUBSCRIBE)
        await hear(socket)
        await venue.told("silence-sockets", seconds=60)
        await socket.send(PING)
        await venue.told("emit", count=50)
        await (await socket.ping())  # the line itself is well: whatever was said before has arrived
        await venue.told("silence-sockets", seconds=0)
        await socket.send("junk")
        assert (await hear(socket))["type"] == "ERROR"


async def test_a_half_open_socket_does_not_even_read() -> None:
    config = SimConfig(events_per_s=0, faults=Faults(half_open=True))
    async with running(config) as venue, venue.socket() as socket:
        await hear(socket)
        await venue.told("silence-sockets", seconds=60)
        pong = await socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.2)
        await venue.told("silence-sockets", seconds=0)
        async with asyncio.timeout(PATIENCE_S):
            await pong


async def test_a_client_that_says_nothing_for_too_long_is_closed() -> None:
    config = SimConfig(events_per_s=0, limits=SocketLimits(idle_s=0.05))
    async with running(config) as venue, venue.socket() as socket:
        await hear(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "Idle"


async def test_one_connection_too_many_is_told_to_come_back_later() -> None:
    config = SimConfig(events_per_s=0, limits=SocketLimits(connections_max=1))
    async with running(config) as venue, venue.socket() as first, venue.socket() as second:
        await hear(first)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(second)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


@pytest.mark.parametrize("aborts", [False, True], ids=["503", "aborts"])
async def test_a_venue_that_is_down_refuses_everyone_but_its_control_plane(aborts: bool) -> None:
    config = SimConfig(events_per_s=0, faults=Faults(down_aborts=aborts))
    async with running(config) as venue, venue.socket() as socket:
        await hear(socket)
        await venue.told("down", seconds=60)
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        with pytest.raises((InvalidHandshake, OSError, EOFError)):
            await venue.socket()
        if aborts:
            with pytest.raises(httpx.TransportError):
                await venue.http.get("/health")
        else:
            assert (await venue.http.get("/health")).status_code == 503
        assert (await venue.state())["down"] is True
        await venue.told("down", seconds=0)
        assert (await venue.http.get("/health")).status_code == 200


async def test_a_webhook_arrives_signed_with_its_headers() -> None:
    async with receiving() as receiver:
        config = SimConfig(events_per_s=0, webhook_url=receiver.url, webhook_secret="c0ffee")
        async with running(config) as venue:
            await venue.told("emit", count=1)
            ((headers, body),) = await receiver.wait_for(1)
            (row,) = await venue.truth()
    expected = hmac.new(b"c0ffee", body, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == expected
    told = json.loads(body)
    assert (headers["X-Webhook-Event"], told["sequence"]) == (told["eventType"], row["sequence"])
    assert headers["X-Webhook-Delivery"]
    assert headers["X-Webhook-Timestamp"].isdigit()
    assert "c0ffee" not in repr(config)


@pytest.mark.parametrize("refusal", [500, 302, 410])
async def test_an_attempt_that_is_not_answered_2xx_is_made_again(refusal: int) -> None:
    async with receiving() as receiver:
        receiver.statuses = [refusal, 204]
        config = SimConfig(events_per_s=0, webhook_url=receiver.url, webhook_secret="c0ffee")
        async with running(config) as venue:
            await venue.told("emit", count=1)
            first, second = await receiver.wait_for(2)
            await venue.told("drain")
            assert (await venue.state())["deliveries"] == {"attempted": 2, "accepted": 1}
    assert first[0]["X-Webhook-Delivery"] == second[0]["X-Webhook-Delivery"]


async def test_a_receiver_registered_over_rest_is_served_with_the_secret_it_was_told() -> None:
    async with receiving() as receiver, running(QUIET) as venue:
        made = (await venue.http.post("/api/v1/webhooks", json={"url": receiver.url})).json()["data"]
        await venue.told("emit", count=1)
        ((headers, body),) = await receiver.wait_for(1)
    expected = hmac.new(made["secret"].encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == expected


async def test_drain_answers_when_every_row_is_committed_and_every_webhook_has_ended() -> None:
    faults = Faults(late_commit_rate=1.0, late_commit_max_s=0.2, webhook_duplicate_rate=0.5)
    async with receiving() as receiver:
        config = SimConfig(events_per_s=0, faults=faults, webhook_url=receiver.url, webhook_secret="c0ffee")
        async with running(config) as venue:
            await venue.told("emit", count=100)
            assert (await venue.told("drain"))["drained"] is True
            answer = await venue.http.get("/api/v1/events", params={"limit": 1000})
            state = await venue.state()
    assert len(events_of(answer)) == 100
    assert len(receiver.got) > 100
    assert state["deliveries"] == {
        "attempted": len(receiver.got),
        "accepted": len(receiver.got),
        "duplicated": len(receiver.got) - 100,
    }


async def test_drain_waits_for_late_commits_when_nobody_is_pushed_to() -> None:
    faults = Faults(late_commit_rate=1.0, late_commit_max_s=0.3)
    async with running(SimConfig(events_per_s=0, faults=faults)) as venue:
        await venue.told("emit", count=100)
        await venue.told("drain")
        assert len(events_of(await venue.http.get("/api/v1/events", params={"limit": 1000}))) == 100


async def test_the_truth_is_what_an_honest_reader_sees() -> None:
    config = SimConfig(events_per_s=0, history_count=120, webhook_url=None)
    async with running(config) as venue:
        await venue.told("emit", count=30)
        answer = await venue.http.get("/api/v1/events", params={"limit": 1000})
        rows = await venue.truth()
    assert len(rows) == 150
    events = events_of(answer)
    assert [(row["sequence"], row["id"]) for row in rows] == [(e["sequence"], e["id"]) for e in events]
    for row, piece in zip(rows, answer.content.split(b'"payload":')[1:], strict=True):
        payload = piece[: piece.index(b',"createdAt"')]
        assert row["sha256"] == hashlib.sha256(payload).hexdigest()


async def test_the_generator_emits_at_its_rate_until_it_is_stopped() -> None:
    async with running(SimConfig(events_per_s=0)) as venue:
        await venue.told("rate", events_per_s=1000)
        async with asyncio.timeout(PATIENCE_S):
            while not (await venue.http.get("/control/truth", params={"after": 100})).json()["rows"]:
                pass
        stopped = await venue.told("stop-emitting")
        assert (await venue.told("drain"))["drained"] is True
        assert stopped == {"assigned": (await venue.state())["assigned"]}


async def test_the_control_plane_patches_faults_and_resets_the_counter() -> None:
    async with running(QUIET) as venue:
        assert (await venue.http.post("/control/faults", json={"burnt_rate": 2})).status_code == 400
        assert (await venue.http.post("/control/faults", json={"nonsense": 2})).status_code == 400
        assert (await venue.http.post("/control/emit", content=b"{")).status_code == 400
        await venue.told("faults", contiguous=True)
        assert await venue.told("emit", count=2) == {"sequences": [1, 2]}
        assert await venue.told("reset-counter") == {"epoch": 2}
        assert await venue.told("emit", count=1) == {"sequences": [1]}
        assert [row["epoch"] for row in await venue.truth()] == [1, 1, 2]


async def test_without_a_control_plane_nobody_learns_the_truth() -> None:
    async with running(SimConfig(events_per_s=0, control=False)) as venue:
        assert (await venue.http.get("/control/truth")).status_code == 404
