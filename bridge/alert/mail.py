"""A channel that is e-mail: one message by SMTP, over TLS unless the relay is a neighbour."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import aiosmtplib
import structlog
from aiosmtplib import SMTPException, SMTPResponseException

from bridge.alert.channel import Accepted, Failed, Sent
from bridge.alert.notice import Message
from bridge.alert.words import harmless

log = structlog.get_logger()

PREFIX = "[bridge]"
LEAVE_S = 1.0
"""How long a relay that has taken a mail may take to let us go."""


@dataclass(frozen=True, slots=True)
class Relay:
    """Who takes the mail. ``tls`` is starttls, tls or none; without ``username`` there is no login.

    ``trust`` says whose certificates are good; without it, those that the system trusts.
    """

    host: str
    port: int
    tls: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MailChannel:
    """Writes to ``to``. Addresses are people's: they show nowhere."""

    name: str
    severity: str
    relay: Relay
    sender: str = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    timeout_s: float = 30.0

    async def send(self, message: Message) -> Sent:
        """Hand it to the relay. No reason holds what the relay said: that may be an address."""
        client = self._client()
        try:
            async with asyncio.timeout(self.timeout_s):
                await client.connect()
                mail = mail_of(message, self.sender, self.to)
                refused, _ = await client.send_message(mail, sender=self.sender, recipients=list(self.to))
            # It was taken: a relay that does not answer to our leave would else be sent it again and again.
            with suppress(SMTPException, OSError):
                await client.quit(timeout=LEAVE_S)
        except SMTPResponseException as error:
            return Failed(f"the mail server answered {error.code} ({type(error).__name__})")
        except TimeoutError:
            return Failed("no answer of the mail server in time")
        except (SMTPException, OSError, UnicodeError) as error:  # the last: its name is none that could be looked up
            return Failed(f"the mail server did not take it: {type(error).__name__}")
        finally:
            client.close()
        if refused:
            log.warning("alert.recipients_refused", channel=self.name, refused=len(refused), of=len(self.to))
        return Accepted()

    def _client(self) -> aiosmtplib.SMTP:
        relay = self.relay
        return aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.tls == "tls",
            start_tls=relay.tls == "starttls",
            tls_context=relay.trust,
            timeout=self.timeout_s,
        )


def mail_of(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The message as mail. Its id is the same at every attempt, and notices of one alert make one thread."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = harmless(f"{PREFIX} {message.heading}")
    mail["Date"] = format_datetime(message.decided_at)
    mail["Message-ID"] = f"<{message.key}.{int(message.decided_at.timestamp())}@{domain}>"
    if message.thread is not None:
        mail["References"] = f"<{message.thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(message.lines) + "\n")
    return mail
