"""What operators do on pages: asked first, done once, by the acts of the API, on record with a name."""

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.delivery import NotSent
from bridge.store.tokens import Scope
from tests.logs import START, append_events
from tests.page.operating import NO, TOKEN, Operator, delivered, operator, said, visiting, with_alerts, with_parked
from tests.store.test_leases import a_wait_for_a_lock
from tests.web.operators import Bridge

PAGE = "/destinations/ledger"
ENTRY = f"{PAGE}/parked/pb.events"
ACTS = [
    f"{PAGE}/pause",
    f"{PAGE}/resume",
    f"{PAGE}/rewind",
    f"{PAGE}/test",
    f"{PAGE}/parked/redeliver",
    f"{ENTRY}/1/redeliver",
    f"{ENTRY}/1/discard",
    "/alerts/silence",
    "/alerts/silences/1/end",
    "/alerts/test",
]


async def state(bridge: Bridge) -> dict[str, object]:
    found: dict[str, object] = await bridge.call("GET", "/destinations/ledger")
    return found


async def deeds(bridge: Bridge) -> list[tuple[str, str]]:
    """Who did what, the oldest first, but for what the test itself made."""
    told = (await bridge.call("GET", "/audit"))["audit"]
    return [(one["actor"], one["action"]) for one in reversed(told) if one["actor"] != "environment"]


async def test_a_destination_is_paused_with_a_reason_and_resumed(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        asked = await person.get(f"{PAGE}/pause")
        assert "Pause ledger?" in asked
        assert (await state(bridge))["state"] == "active", "asking does nothing"
        page = await person.do(f"{PAGE}/pause", reason="a move & a <b>bang</b>")
        assert said(page).startswith("ledger is paused")
        assert "a move &amp; a &lt;b&gt;bang&lt;/b&gt;" in page
        assert (await state(bridge))["reason"] == "a move & a <b>bang</b>"
        await append_events(engine, "pb.events", 2)
        assert await bridge.deliver() == []
        assert said(await person.get(PAGE)) == "", "it is said once"
        assert "2 entries wait" in " ".join((await person.get(f"{PAGE}/resume")).split())
        assert said(await person.do(f"{PAGE}/resume")).startswith("ledger is resumed")
        assert await bridge.deliver() == [11, 12]
        assert await deeds(bridge) == [
            ("the-operate", "destination.paused"),
            ("the-operate", "destination.resumed"),
        ]


@pytest.mark.parametrize(
    "given, first",
    [
        ({"stream": "pb.events", "to": "position", "position": "4"}, 4),
        ({"stream": "pb.events", "to": "position", "position": "1"}, 1),
        ({"stream": "pb.events", "to": "sequence", "sequence": "7"}, 7),
        ({"stream": "pb.events", "to": "sequence", "sequence": "1", "epoch": "2"}, 11),
        ({"stream": "", "to": "time", "time": "2026-02-18T22:00"}, 1),
        ({"stream": "", "to": "time", "time": (START + timedelta(seconds=1)).isoformat()}, 11),
        ({"stream": " ", "to": "beginning", "position": "nonsense that nobody asked for"}, 1),
    ],
)
async def test_a_rewind_is_shown_before_it_is_done_and_delivers_what_was_named(
    engine: AsyncEngine, given: dict[str, str], first: int
) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        answer = await person.client.get(f"{PAGE}/rewind", params=given)
        assert answer.status_code == 200
        shown = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
        again = 11 - first
        assert f"{again} {'entry is' if again == 1 else 'entries are'} sent again" in shown
        assert await bridge.deliver() == [], "showing moves nothing"
        form = answer.text[: answer.text.rindex("<form")]  # the last one asks for somewhere else
        done = await person.send(form, f"{PAGE}/rewind")
        assert f"{again} {'entry' if again == 1 else 'entries'} sent again, 0 entries passed over" in said(
            await person.get(done.headers["location"])
        )
        assert await bridge.deliver() == list(range(first, 11))
        assert await deeds(bridge) == [("the-operate", "destination.rewound")]


async def test_entries_that_would_be_passed_over_are_named_before(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge, 3)
        await append_events(engine, "pb.events", 5)
        page = await person.get(f"{PAGE}/rewind?stream=pb.events&to=position&position=8")
        assert "4 entries are passed over, and not sent" in page
        done = await person.send(page[: page.rindex("<form")], f"{PAGE}/rewind")
        assert "0 entries sent again, 4 entries passed over" in said(await person.get(done.headers["location"]))
        assert await bridge.deliver() == [8]


@pytest.mark.parametrize(
    "query, why",
    [
        ("to=position&position=4", "stream: is needed"),
        ("stream=pb.events&to=position&position=12", "ends at position 10"),
        ("stream=pb.events&to=position&position=0", "must be 1 or more"),
        ("stream=pb.events&to=position&position=-1", "position: must be a whole number"),
        ("stream=pb.events&to=position&position=99999999999999999999", "position: must be a whole number"),
        ("stream=pb.events&to=sequence&sequence=4&epoch=x", "epoch: must be a whole number"),
        ("to=time&time=yesterday", "time: must be a time"),
        ("to=time&time=", "time: must be a time"),
        ("to=somewhere", "to: must be one of"),
    ],
)
async def test_a_rewind_that_cannot_be_meant_is_explained_and_moves_nothing(
    engine: AsyncEngine, query: str, why: str
) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        assert why in said(await person.get(f"{PAGE}/rewind?{query}", status=422))
        fields = dict(one.split("=") for one in query.split("&"))
        page = await person.get(f"{PAGE}/rewind")
        marks = await person.get(f"{PAGE}/pause")  # a form that carries what any form carries
        answer = await person.send(marks, f"{PAGE}/rewind", status=422, **fields)
        assert why in said(answer.text)
        assert "Show what would be moved" in page
        assert await bridge.deliver() == []


async def test_a_rewind_of_a_stream_that_is_not_taken_or_not_there_is_a_page_that_says_so(
    engine: AsyncEngine,
) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        page = await person.get(f"{PAGE}/rewind?stream=no.such&to=beginning", status=404)
        assert "takes no stream no.such" in page


async def test_parked_entries_are_redelivered_and_discarded(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await with_parked(engine, bridge)
        assert "not &lt;b&gt;today&lt;/b&gt;" in await person.get(f"{ENTRY}/1")
        assert "Entry 1 of pb.events is sent to ledger again" in said(await person.do(f"{ENTRY}/1/redeliver"))
        refused = await person.send(
            await person.get(f"{ENTRY}/2/discard"), f"{ENTRY}/2/discard", status=422, reason=" "
        )
        assert "reason: is missing" in said(refused.text)
        page = await person.do(f"{ENTRY}/2/discard", reason="a test order")
        assert "is discarded" in said(page)
        assert "a test order" in page
        assert "What is parked is sent to ledger again: 1 entry." in said(await person.do(f"{PAGE}/parked/redeliver"))
        async with asyncio.TaskGroup() as group:
            await bridge.directory.tick()
            await bridge.deliverer.tick(group)
            bridge.deliverer.stop()
        assert sorted(bridge.post.positions()[3:]) == [1, 3]
        assert [action for _, action in await deeds(bridge)] == [
            "parked.redelivered",
            "parked.discarded",
            "parked.redelivered",
        ]


async def test_a_test_says_what_was_answered(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge, 1)
        assert "ledger has accepted the test: it answered 204 after 2 ms" in said(await person.do(f"{PAGE}/test"))
        bridge.post.answer = NO
        page = await person.do(f"{PAGE}/test")
        assert "ledger has refused the test: it answered 500 after 250 ms: not <b>today</b>" in said(page)
        assert "<b>today" not in page
        bridge.post.answer = NotSent("connection refused", 0.001)
        assert "The test did not get to ledger: connection refused" in said(await person.do(f"{PAGE}/test"))
        assert [action for _, action in await deeds(bridge)] == ["destination.tested"] * 3


async def test_a_form_that_is_sent_twice_is_granted_once_and_says_so(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        form = await person.get(f"{PAGE}/rewind?stream=pb.events&to=position&position=4")
        form = form[: form.rindex("<form")]
        await person.send(form, f"{PAGE}/rewind")
        assert await bridge.deliver() == list(range(4, 11))
        again = await person.send(form, f"{PAGE}/rewind")
        told = said(await person.get(again.headers["location"]))
        assert told.startswith("This form was sent before, and is not done twice. ledger was moved on pb.events")
        assert await bridge.deliver() == []
        assert len(await deeds(bridge)) == 1


async def test_two_presses_at_the_same_moment_send_one_test(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge, 1)
        form = await person.get(f"{PAGE}/test")
        bridge.post.gate.clear()
        bridge.post.arrived.clear()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(person.send(form, f"{PAGE}/test"))
            await bridge.post.arrived.wait()
            second = await person.send(form, f"{PAGE}/test", status=409)
            assert "is under way" in said(second.text)
            bridge.post.gate.set()
            await sending
        assert len(bridge.post.sent) == 2, "the entry, and one test"


async def test_a_page_that_is_behind_the_times_is_told_so(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge)
        pause, rewind = await person.get(f"{PAGE}/pause"), await person.get(f"{PAGE}/rewind?to=beginning")
        await bridge.call("POST", "/destinations/ledger/pause", {"reason": "somebody else"})
        stale = await person.send(pause, f"{PAGE}/pause", status=409, reason="mine")
        assert said(stale.text) == "Not done: the destination ledger is paused already."
        assert "It is paused already: somebody else" in stale.text
        assert 'value="mine"' in stale.text
        resume = await person.get(f"{PAGE}/resume")
        await bridge.call("POST", "/destinations/ledger/resume")
        assert "is not stopped" in said((await person.send(resume, f"{PAGE}/resume", status=409)).text)
        await bridge.call("DELETE", "/destinations/ledger", status=204)
        gone = await person.send(rewind[: rewind.rindex("<form")], f"{PAGE}/rewind", status=404)
        assert "no destination ledger is known" in gone.text
        assert await deeds(bridge) == []


@pytest.mark.parametrize("act", ["redeliver", "discard"])
async def test_what_somebody_else_does_to_a_parked_entry_at_the_same_moment_is_done_once(
    engine: AsyncEngine, act: str
) -> None:
    async with operator(engine) as (bridge, person):
        await with_parked(engine, bridge)
        form = await person.get(f"{ENTRY}/1/{act}")
        async with asyncio.TaskGroup() as group, engine.begin() as conn:
            await conn.execute(text("UPDATE parked SET state = 'discarded', ended_at = now() WHERE position = 1"))
            sending = group.create_task(person.send(form, f"{ENTRY}/1/{act}", status=409, reason="mine"))
            await a_wait_for_a_lock(engine)
        assert "the entry is discarded" in said(sending.result().text)
        assert await deeds(bridge) == [], "nobody is said to have done what was not done"


async def test_alerts_are_silenced_for_a_time_and_told_of_again(engine: AsyncEngine) -> None:
    await with_alerts(engine)
    async with operator(engine) as (bridge, person):
        page = await person.get("/alerts")
        assert page.index("needs&lt;/i&gt;") > 0
        assert page.index("stopped") < page.index("gap_open"), "the worst first"
        form = await person.get("/alerts/silence?rule=gap_open&subject=pb.events")
        assert 'value="pb.events"' in form
        for wrong, why in (
            ({"hours": "0", "reason": "x"}, "hours: must be more than 0"),
            ({"hours": "nan", "reason": "x"}, "hours: must be more than 0"),
            ({"hours": "1e-12", "reason": "x"}, "hours: must be more than 0"),
            ({"hours": "soon", "reason": "x"}, "hours: must be a number"),
            ({"hours": "2", "reason": ""}, "reason: must not be empty"),
            ({"hours": "2", "reason": "x", "rule": "", "subject": ""}, "a rule, a subject or both"),
        ):
            fields = {"rule": "gap_open", "subject": "pb.*", **wrong}
            assert why in said((await person.send(form, "/alerts/silence", status=422, **fields)).text)
        page = await person.do("/alerts/silence", rule="gap_*", subject="pb.events", hours="2", reason="a move")
        assert said(page) == "Silence 1 holds: nobody is told of gap_* on pb.events until it ends."
        assert "silenced" in page[page.index("What holds now") : page.index("Silences that hold")]
        form = await person.get("/alerts/silences/1/end")
        page = await person.do("/alerts/silences/1/end")
        assert said(page) == "Silence 1 is over: people are told again."
        assert ">silenced<" not in page
        stale = await person.send(
            form.replace('name="once" value="', 'name="once" value="x'), "/alerts/silences/1/end", status=409
        )
        assert "no silence 1 holds" in said(stale.text)
        await person.get("/alerts/silences/2/end", status=404)
        await person.get(f"/alerts/silences/{2**40}/end", status=404)
        assert await deeds(bridge) == [("the-operate", "alerts.silenced"), ("the-operate", "alerts.unsilenced")]


async def test_a_test_of_the_alerts_goes_to_every_channel_and_says_who_took_it(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        assert said(await person.do("/alerts/test")) == "The test was taken by log."
        assert await deeds(bridge) == [("the-operate", "alerts.tested")]


@pytest.mark.parametrize("path", ACTS)
async def test_who_may_only_look_sees_no_act_and_is_refused_each(engine: AsyncEngine, path: str) -> None:
    await with_alerts(engine)
    async with operator(engine, Scope.READ) as (bridge, person):
        await with_parked(engine, bridge)
        for page in ("/destinations", PAGE, f"{PAGE}/parked", f"{ENTRY}/1", "/alerts"):
            shown = await person.get(page)
            assert f'href="{path}' not in shown
            assert "What can be done" not in shown
        asked = await person.get(path, status=403)
        assert "this needs the scope operate, and the-read has read" in asked
        home = await person.get("/")
        refused = await person.send(home, path, status=403)
        assert "this needs the scope operate" in refused.text
        assert await deeds(bridge) == []


@pytest.mark.parametrize("path", ACTS)
async def test_no_act_is_done_for_a_form_that_is_not_ours(engine: AsyncEngine, path: str) -> None:
    await with_alerts(engine)
    async with operator(engine) as (bridge, person):
        await with_parked(engine, bridge)
        fields = {"once": "k", "reason": "x", "rule": "*", "hours": "1", "to": "beginning"}
        own = {"origin": bridge.address, "sec-fetch-site": "same-origin"}
        mark = re.search(r'name="csrf" value="(\w+)"', await person.get("/"))
        assert mark is not None
        other = await _mark_of_another(engine, bridge)
        for headers, given in (
            (own, {}),
            (own, {"csrf": ""}),
            (own, {"csrf": "00" * 16}),
            (own, {"csrf": other}),
            ({**own, "origin": "https://evil.example"}, {"csrf": mark[1]}),
            ({**own, "sec-fetch-site": "cross-site"}, {"csrf": mark[1]}),
            ({}, {"csrf": mark[1]}),
        ):
            answer = await person.client.post(path, data={**fields, **given}, headers=headers)
            assert answer.status_code == 403, (headers, given)
        assert await deeds(bridge) == []


async def _mark_of_another(engine: AsyncEngine, bridge: Bridge) -> str:
    """The mark of a session of somebody else's."""
    async with visiting(bridge) as client:
        person = Operator(client)
        await person.send(await person.get("/login"), "/login", token=TOKEN)
        found = re.search(r'name="csrf" value="(\w+)"', await person.get("/"))
        assert found is not None
        return found[1]


async def test_what_is_sent_has_bounds_and_each_field_once(engine: AsyncEngine) -> None:
    async with operator(engine) as (bridge, person):
        await delivered(engine, bridge, 1)
        form = await person.get(f"{PAGE}/pause")
        await person.send(form, f"{PAGE}/pause", status=413, reason="x" * 20_000)
        await person.send(form, f"{PAGE}/pause", status=422, reason="x" * 501)
        await person.send(form, f"{PAGE}/pause", status=422, reason="a\nb")
        await person.send(form, f"{PAGE}/pause", status=400, reason="a\0b")
        await person.send(form, f"{PAGE}/pause", status=400, once="")
        own = {"origin": bridge.address, "sec-fetch-site": "same-origin"}
        for content, kind in (
            (b"reason=1&reason=2", "application/x-www-form-urlencoded"),
            (b"reason=%ff", "application/x-www-form-urlencoded"),
            (b"&".join(b"a%d=1" % number for number in range(40)), "application/x-www-form-urlencoded"),
            (b"{}", "application/json"),
        ):
            answer = await person.client.post(f"{PAGE}/pause", content=content, headers={**own, "content-type": kind})
            assert answer.status_code == 400
        assert await deeds(bridge) == []


async def test_the_audit_is_for_those_who_may_do_everything(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.ADMIN) as (bridge, person):
        await delivered(engine, bridge, 1)
        await person.do(f"{PAGE}/pause", reason="<i>why</i>")
        page = await person.get("/audit?subject=ledger")
        assert page.index("destination.paused") < page.index("destination.created")
        assert "&lt;i&gt;why&lt;/i&gt;" in page
        assert "the-admin" in page
        assert "Nothing was done." in await person.get("/audit?subject=nobody")
        async with engine.begin() as conn:
            await conn.execute(
                text(
                    "INSERT INTO audit (at, actor, action, subject)"
                    " SELECT :at, 'ops', 'destination.tested', 'n' || n FROM generate_series(1, 150) n"
                ),
                {"at": START},
            )
        page = await person.get("/audit")
        older = re.search(r'href="(/audit\?[^"]*)" rel="next"', page)
        assert older is not None
        assert "destination.created" in await person.get(older[1].replace("&amp;", "&"))
    async with operator(engine, Scope.OPERATE) as (_, person):
        await person.get("/audit", status=403)
        assert 'href="/audit"' not in await person.get("/")
