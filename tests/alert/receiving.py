"""Who is told: a mail server and a webhook on loopback, with everything that came."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.posting import OK, Visit, peering
from tests.processes.waiting import eventually

PATIENCE_S = 30.0
USER, PASSWORD = "bridge", "a-mail-passw0rd"


@dataclass(slots=True)
class Mailbox:
    """A mail server: what it took, who logged in, and what it answers to a recipient or to the data.

    One that is ``mute_at_the_end`` does not answer to who takes leave.
    """

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    mute_at_the_end: bool = False

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 <{address}> is nobody"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=WIRE)
            self.got.append(mail)
            self.recipients.append(envelope.rcpt_tos)
            assert server.transport is not None
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return answer

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.mute_at_the_end:
            await asyncio.Event().wait()
        return "221 Bye"

    def login(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login.decode())
        is_right = (given.login.decode(), given.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=is_right, handled=False)  # the server answers


@asynccontextmanager
async def mailbox(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> AsyncIterator[Mailbox]:
    """A mail server for as long as the block lasts."""
    box = Mailbox()

    def server() -> SMTP:
        return SMTP(
            box,
            hostname="localhost",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=box.login,
            auth_required=login and starttls is not None,
            auth_require_tls=starttls is not None,
        )

    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=tls)
    box.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield box


@dataclass(slots=True)
class Webhook:
    """A webhook as Slack has them: the texts that came, and the keys beside them."""

    port: int = 0
    texts: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    requests: int = 0
    answers: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/t0ken"

    async def talk(self, visit: Visit) -> None:
        while True:
            head, _, body = (await visit.request()).partition(b"\r\n\r\n")
            self.requests += 1
            answer = self.answers.pop(0) if self.answers else OK
            if answer == OK:
                self.texts.append(json.loads(body)["text"])
                self.keys.append(head.lower().split(b"idempotency-key: ")[1].split(b"\r\n")[0].decode())
            await visit.say(answer)

    async def until(self, count: int) -> None:
        """Return when so many texts have come."""
        await eventually(lambda: len(self.texts) >= count, within_s=PATIENCE_S, state=lambda: self.texts)


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """A webhook for as long as the block lasts."""
    hook = Webhook()
    async with peering(hook.talk) as peer:
        hook.port = peer.port
        yield hook


def answer(status: int, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status} No\r\n{lines}Content-Length: 2\r\n\r\nno".encode()
