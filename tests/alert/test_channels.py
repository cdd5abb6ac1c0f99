"""Channels, on real sockets: what arrives, what is said of a failure, and that nothing else is told."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.alert.channel import Accepted, Failed, Sent
from bridge.alert.logged import LogChannel
from bridge.alert.mail import MailChannel, Relay
from bridge.alert.notice import Message, message_of
from bridge.alert.slack import TEXT_CHARS_MAX, SlackChannel
from bridge.clock import SystemClock
from bridge.egress import HttpEgress, tls_context
from tests.alert.receiving import PASSWORD, USER, Mailbox, answer, mailbox, webhook
from tests.events import START
from tests.identities import Identity, make_identity

pytestmark = pytest.mark.anyio

TO = ("ops@example.com", "second@example.com")
KEPT = {
    "severity": "critical",
    "rule": "stopped",
    "subject": "ledger",
    "sentence": "ledger is stopped.",
    "figures": {"since": 5, "none": None},
}
MESSAGE = message_of(7, 3, "firing", KEPT, START)
RESOLVED = message_of(8, 3, "resolved", KEPT, START)
NASTY = (
    "<!channel> <https://evil.example|click> http://evil.example [click](//evil.example) @here *bold* `x`"
    " & \r\nBcc: spy@evil.example\r\n\r\nbody \x1b[2J"
)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
async def egress() -> AsyncIterator[HttpEgress]:
    async with HttpEgress(SystemClock()) as opened:
        yield opened


def mail_to(box: Mailbox, *, host: str = "127.0.0.1", tls: str = "none", **more: Any) -> MailChannel:
    relay = Relay(host, box.port, tls, **more)
    return MailChannel("people", "warning", relay, "bridge@example.com", TO, timeout_s=20)


async def test_a_mail_says_what_is_wrong_and_notices_of_one_alert_are_one_thread() -> None:
    async with mailbox() as box:
        for message in (MESSAGE, RESOLVED, MESSAGE):
            assert await mail_to(box).send(message) == Accepted()
    first, resolved, again = box.got
    assert (first["Subject"], resolved["Subject"]) == (
        "[bridge] critical: stopped ledger",
        "[bridge] resolved, critical: stopped ledger",
    )
    assert box.recipients == [list(TO)] * 3
    assert first["References"] == resolved["References"] == "<alert-3@example.com>"
    assert first["Message-ID"] == again["Message-ID"] != resolved["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert first.get_content().splitlines() == [
        "ledger is stopped.",
        "",
        "since 5",
        "",
        "2026-02-18 23:00:00 UTC, notice-7",
    ]


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_mail_goes_over_tls_by_name_with_a_login(identity: Identity, way: str) -> None:
    trust = tls_context(str(identity.certificate))
    trust.set_alpn_protocols([])
    served = identity.serving()
    served.set_alpn_protocols([])
    async with mailbox(**{way: served}, login=True) as box:
        channel = mail_to(box, host="localhost", tls=way, username=USER, password=PASSWORD, trust=trust)
        assert await channel.send(MESSAGE) == Accepted()
        assert (box.logins, box.encrypted) == ([USER], [True])
        assert box.got[0]["Subject"] == "[bridge] critical: stopped ledger"


async def test_a_certificate_that_nobody_vouches_for_gets_no_password(identity: Identity) -> None:
    served = identity.serving()
    async with mailbox(starttls=served, login=True) as box:
        channel = mail_to(box, host="localhost", tls="starttls", username=USER, password=PASSWORD)
        sent = await channel.send(MESSAGE)
    assert isinstance(sent, Failed)
    assert (box.logins, box.got) == ([], [])


async def test_a_server_without_starttls_gets_nothing_where_it_was_asked_for() -> None:
    async with mailbox() as box:
        sent = await mail_to(box, tls="starttls", username=USER, password=PASSWORD).send(MESSAGE)
    assert isinstance(sent, Failed)
    assert (box.logins, box.got) == ([], [])


async def test_what_a_mail_server_refuses_is_a_reason_without_addresses_or_passwords(identity: Identity) -> None:
    trust = tls_context(str(identity.certificate))
    reasons: list[Sent] = []
    async with mailbox(starttls=identity.serving(), login=True) as box:
        channel = mail_to(
            box, host="localhost", tls="starttls", username=USER, password="wrong-passw0rd", trust=trust
        )
        reasons.append(await channel.send(MESSAGE))
        assert "wrong-passw0rd" not in repr(channel)
    async with mailbox() as box:
        box.refused = set(TO)
        reasons.append(await mail_to(box).send(MESSAGE))
        box.refused = set()
        box.answers = [f"451 not now, {TO[0]}"]
        reasons.append(await mail_to(box).send(MESSAGE))
    reasons.append(await mail_to(Mailbox(port=box.port)).send(MESSAGE))
    assert all(isinstance(one, Failed) for one in reasons)
    assert "answered 535" in str(reasons[0])
    assert "answered 451" in str(reasons[2])
    for secret in (*TO, "example.com", "wrong-passw0rd", USER):
        assert secret not in str(reasons)
    assert TO[0] not in repr(channel)


async def test_a_recipient_that_is_refused_costs_the_others_nothing_and_is_told_of() -> None:
    async with mailbox() as box:
        box.refused = {TO[1]}
        with capture_logs() as told:
            assert await mail_to(box).send(MESSAGE) == Accepted()
    assert box.recipients == [[TO[0]]]
    assert [(line["event"], line["refused"], line["of"]) for line in told] == [("alert.recipients_refused", 1, 2)]
    assert TO[1] not in str(told)


async def test_a_mail_server_that_says_nothing_is_waited_for_only_so_long() -> None:
    async with webhook() as mute:  # it waits for a request, and so does the client for a greeting
        channel = replace(mail_to(Mailbox(port=mute.port)), timeout_s=0.3)
        assert await channel.send(MESSAGE) == Failed("no answer of the mail server in time")


async def test_a_mail_that_was_taken_is_told_whatever_the_server_says_at_the_end() -> None:
    async with mailbox() as box:
        box.mute_at_the_end = True
        assert await mail_to(box).send(MESSAGE) == Accepted()
    assert len(box.got) == 1


async def test_a_host_that_is_no_name_is_a_reason_and_no_fault() -> None:
    assert await mail_to(Mailbox(port=25), host="smtp..example").send(MESSAGE) == Failed(
        "the mail server did not take it: UnicodeError"
    )


async def test_a_webhook_gets_one_text_and_the_same_key_at_every_attempt(egress: HttpEgress) -> None:
    async with webhook() as hook:
        channel = SlackChannel("ops", "warning", hook.url, egress, allow_private=True)
        assert [await channel.send(MESSAGE) for _ in range(2)] == [Accepted()] * 2
    assert hook.texts[0] == (
        "*critical: stopped ledger*\nledger is stopped.\nsince 5\n2026-02-18 23:00:00 UTC, notice-7"
    )
    assert hook.keys == ["notice-7", "notice-7"]


async def test_what_a_webhook_answers_is_a_reason_without_its_address(egress: HttpEgress) -> None:
    async with webhook() as hook:
        hook.answers = [answer(404), answer(429, "Retry-After: 77"), answer(302, "Location: http://127.0.0.1/")]
        channel = SlackChannel("ops", "warning", hook.url, egress, allow_private=True)
        sent = [await channel.send(MESSAGE) for _ in range(3)]
        private = await replace(channel, allow_private=False).send(MESSAGE)
        far = await replace(channel, allow_private=False, url=hook.url.replace("http", "https")).send(MESSAGE)
    gone = await channel.send(MESSAGE)
    assert sent == [Failed("answered 404"), Failed("answered 429", 77.0), Failed("answered 302")]
    assert isinstance(private, Failed)
    assert far == Failed("no connection: 127.0.0.1 is not a public address")
    assert "t0ken" not in f"{sent}{private}{far}{gone}{channel}"


async def test_the_log_says_how_bad_it_is_by_its_level() -> None:
    warning = message_of(9, None, "summary", {**KEPT, "severity": "warning", "rule": "", "subject": ""}, START)
    with capture_logs() as told:
        for message in (MESSAGE, warning, RESOLVED):
            assert await LogChannel().send(message) == Accepted()
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("alert.firing", "error"),
        ("alert.summary", "warning"),
        ("alert.resolved", "info"),
    ]
    assert (told[0]["rule"], told[0]["subject"], told[0]["says"]) == ("stopped", "ledger", "ledger is stopped.")


def nasty() -> Message:
    return replace(MESSAGE, subject=NASTY, sentence=NASTY * 50, figures={"why": NASTY})


async def test_text_of_others_is_shown_by_a_webhook_and_does_nothing(egress: HttpEgress) -> None:
    async with webhook() as hook:
        assert await SlackChannel("ops", "warning", hook.url, egress, allow_private=True).send(nasty()) == Accepted()
    [text] = hook.texts
    assert "&lt;!channel&gt;" in text
    assert "<" not in text
    assert ">" not in text
    assert "@here" not in text
    assert "*bold*" not in text
    assert ":/" not in text
    assert "](" not in text
    assert len(text) <= TEXT_CHARS_MAX


async def test_text_of_others_makes_no_header_of_a_mail(caplog: pytest.LogCaptureFixture) -> None:
    async with mailbox() as box:
        with caplog.at_level(logging.ERROR):
            assert await mail_to(box).send(nasty()) == Accepted()
    [mail] = box.got
    assert mail["Bcc"] is None
    assert box.recipients == [list(TO)]
    assert sorted(mail.keys()) == sorted(
        [
            *("From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted"),
            *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert str(mail["Subject"]).isprintable()
