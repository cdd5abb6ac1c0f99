"""The consumer as a running thing: any path takes deliveries, ``/control`` tells what is held and how to behave.

The receiving path is bare ASGI, because measurements run through it.
"""

import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bridge.clock import Clock
from bridge.core.signing import verify
from bridge.sim.consumer.behaviour import STATUS, Behaviour, Mode, Moods
from bridge.sim.consumer.record import Batch, Delivery, Held, Record
from bridge.sim.serving import serve_app

BODY_BYTES_MAX = 8 << 20
HELD_PAGE_MAX = 100_000

_BATCH_START = b'{"type":"bridge.batch",'

_decode = msgspec.json.Decoder(Delivery).decode
_decode_batch = msgspec.json.Decoder(Batch).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerConfig:
    """Everything a consumer is told at start; port 0 takes a free one.

    ``keep`` is a file to which every entry is appended as a line of JSON before it is acknowledged, and from
    which a consumer that is started again goes on. ``fail_rate`` of the requests go wrong by chance.
    """

    secrets: tuple[bytes, ...] = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 9090
    fail_rate: float = 0.0
    seed: int = 1
    keep: Path | None = None


class Consumer:
    """The ASGI application."""

    def __init__(self, config: ConsumerConfig, *, clock: Clock, file: io.RawIOBase | None = None) -> None:
        self.records: dict[str, Record] = {}
        self.requests = 0
        self.signature_failures = 0
        self.malformed = 0
        self._secrets = config.secrets
        self._clock = clock
        self._file = file
        self._moods = Moods(seed=config.seed, fail_rate=config.fail_rate)
        self._control = Starlette(
            routes=[
                Route("/control/state", self._state),
                Route("/control/held", self._held),
                Route("/control/behave", self._behave, methods=["POST"]),
            ]
        )

    def behave(self, behaviour: Behaviour) -> None:
        self._moods.tell(behaviour, monotonic=self._clock.monotonic())

    def restore(self, lines: bytes) -> None:
        """Hold what ``lines`` say was held."""
        for line in lines.splitlines():
            held = msgspec.json.decode(line, type=Held)
            self.records.setdefault(held.stream, Record()).hold(held)

    def state(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "signature_failures": self.signature_failures,
            "malformed": self.malformed,
            "streams": {name: record.state() for name, record in sorted(self.records.items())},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/control/"):
            await self._control(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        self.requests += 1
        met = self._moods.next(monotonic=self._clock.monotonic())
        if met.mode is Mode.HANG:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        status = STATUS[met.mode]
        if met.mode in (Mode.OK, Mode.LOSE):
            status = self._take(scope, body) or status
        await _answer(send, status, met.retry_after_s)

    def _take(self, scope: Scope, body: bytes) -> int | None:
        """Hold what the body says. Returns the status that refuses it, None where it is good."""
        given = dict(scope["headers"])
        now_s = self._clock.now().timestamp()
        if not verify(
            self._secrets,
            webhook_id=given.get(b"webhook-id", b"").decode("latin-1"),
            timestamp=given.get(b"webhook-timestamp", b"").decode("latin-1"),
            signatures=given.get(b"webhook-signature", b"").decode("latin-1"),
            body=body,
            now_s=now_s,
        ):
            self.signature_failures += 1
            return 401
        try:
            deliveries = _decode_batch(body).entries if body.startswith(_BATCH_START) else [_decode(body)]
        except msgspec.DecodeError:
            self.malformed += 1
            return 400
        lines = b"".join([self._hold(delivery, now_s) for delivery in deliveries])
        if lines and self._file is not None:
            self._file.write(lines)
        return None

    def _hold(self, delivery: Delivery, now_s: float) -> bytes:
        """Keep what is new; returns the line for the file, empty where there is no file or nothing new."""
        record = self.records.get(delivery.stream)
        if record is None:
            record = self.records[delivery.stream] = Record()
        held = record.take(delivery, at=now_s)
        return b"" if held is None or self._file is None else _encode(held) + b"\n"

    async def _state(self, _request: Request) -> Response:
        return Response(_encode(self.state()), media_type="application/json")

    async def _held(self, request: Request) -> Response:
        """Entries of ``stream`` after position ``after``, in order, at most ``limit``."""
        try:
            after = int(request.query_params.get("after", "0"))
            limit = min(int(request.query_params.get("limit", str(HELD_PAGE_MAX))), HELD_PAGE_MAX)
        except ValueError:
            return Response(status_code=400)
        record = self.records.get(request.query_params.get("stream", ""), Record())
        held = [entry for position, entry in record.held.items() if position > after][: max(limit, 0)]
        return Response(_encode(held), media_type="application/json")

    async def _behave(self, request: Request) -> Response:
        try:
            self.behave(msgspec.json.decode(await request.body(), type=Behaviour))
        except msgspec.DecodeError as error:
            return Response(str(error), status_code=400)
        return Response(status_code=204)


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None where the sender went away, or sends more than anybody should."""
    parts, size = [], 0
    while True:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        parts.append(part.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            return None
        if not part.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _answer(send: Send, status: int, retry_after_s: int | None) -> None:
    headers = [] if retry_after_s is None else [(b"retry-after", str(retry_after_s).encode())]
    if status != 204:
        headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def serve(
    config: ConsumerConfig,
    *,
    clock: Clock,
    ready: Callable[[int], None] | None = None,
    made: Callable[[Consumer], None] | None = None,
) -> None:
    """Run until cancelled.

    ``ready`` is told the port once requests are answered, ``made`` is given the application.
    """
    with ExitStack() as open_files:
        kept = b"" if config.keep is None else _whole_lines(config.keep)
        file = None if config.keep is None else open_files.enter_context(config.keep.open("ab", buffering=0))
        consumer = Consumer(config, clock=clock, file=file)
        consumer.restore(kept)
        if made is not None:
            made(consumer)
        await serve_app(consumer, host=config.host, port=config.port, ready=ready)


def _whole_lines(keep: Path) -> bytes:
    """The lines of the file. A last one that a crash cut short was never acknowledged: it is taken out."""
    content = keep.read_bytes() if keep.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        keep.write_bytes(whole)
    return whole
