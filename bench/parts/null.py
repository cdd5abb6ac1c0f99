"""A server that does nothing but answer: nothing of ours can be faster."""

import msgspec
from starlette.types import Receive, Scope, Send

from bench.parts.edge import CLOCK, serve_app

_BODY = b'{"status":"accepted"}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


class Options(msgspec.Struct, frozen=True):
    """``delay_s`` passes before the answer, which has the HTTP ``status``."""

    delay_s: float = 0.0
    status: int = 202


async def run(options: Options) -> None:
    """Run until the input is closed."""

    async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        if options.delay_s:
            await CLOCK.sleep(options.delay_s)
        await send({"type": "http.response.start", "status": options.status, "headers": list(_HEADERS)})
        await send({"type": "http.response.body", "body": _BODY})

    await serve_app(answer)
