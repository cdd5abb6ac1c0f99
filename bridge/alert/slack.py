"""A channel that is a webhook as Slack takes it: one POST of JSON with a text."""

from dataclasses import dataclass, field

import msgspec

from bridge.alert.channel import Accepted, Failed, Sent
from bridge.alert.notice import Message
from bridge.core.delivery import Answered
from bridge.egress import Egress

TEXT_CHARS_MAX = 3_000


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """Posts to ``url``, which is a secret: whoever knows it may write there."""

    name: str
    severity: str
    url: str = field(repr=False)
    egress: Egress = field(repr=False)
    timeout_s: float = 10.0
    allow_private: bool = False

    async def send(self, message: Message) -> Sent:
        """Post it once. The key goes along as a header, for who looks for repetitions."""
        body = msgspec.json.encode({"text": text_of(message), "unfurl_links": False, "unfurl_media": False})
        headers = {"content-type": "application/json", "idempotency-key": message.key}
        outcome = await self.egress.post(
            self.url, headers, body, timeout_s=self.timeout_s, allow_private=self.allow_private
        )
        if not isinstance(outcome, Answered):
            return Failed(outcome.reason)
        if 200 <= outcome.status < 300:
            return Accepted()
        return Failed(f"answered {outcome.status}", outcome.retry_after_s or 0.0)


def text_of(message: Message) -> str:
    """The message as text with the markup that is ours; nothing in it of anybody else's is markup, link or call."""
    first, *rest = (escaped(line) for line in (message.heading, *message.lines))
    return "\n".join((f"*{first}*", *rest))[:TEXT_CHARS_MAX]


def escaped(text: str) -> str:
    """``text`` so that it shows as it is: no link, no mention, nothing bold or struck out."""
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, instead)
    # An invisible sign keeps these from meaning anything, on Slack and on what is like it. Names that people copy
    # have none of them. What begins like a URL would become a link without any markup around it.
    for sign in ("@", "*", "~", "`", "]", ":/"):
        text = text.replace(sign, f"{sign[0]}\u200b{sign[1:]}")
    return text
