"""Load: signed webhooks over kept connections, as fast as they are answered. It costs next to nothing itself."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import msgspec

from bench.parts.edge import CLOCK, say
from bench.quantiles import quantile
from bridge.sim.playbatman import Faults, Signing, Venue
from bridge.sim.playbatman.row import webhook_row


class Options(msgspec.Struct, frozen=True):
    """``requests`` deliveries numbered from ``first`` on, over ``connections`` connections to ``port``."""

    port: int
    path: str
    secret: str
    requests: int
    first: int = 1
    connections: int = 64


class Fired(msgspec.Struct, frozen=True):
    """What came of it. Latencies are per request, from the write to the whole answer."""

    per_s: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]


def _prepare(options: Options) -> list[bytes]:
    """Whole requests, signed: nothing is left to do but to write them."""
    venue = Venue(seed=options.first, start=CLOCK.now(), faults=Faults(contiguous=True), in_process=False)
    venue.counter = options.first - 1
    signing = Signing()
    now = CLOCK.now()
    at = int(now.timestamp())
    requests = []
    for ordinal, row in enumerate(venue.emit(now, options.requests)):
        body = webhook_row(row)
        head = (
            f"POST {options.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Webhook-Signature: {signing.signature(body, secret=options.secret, timestamp_s=at)}\r\n"
            f"X-Webhook-Event: {row.event_type}\r\nX-Webhook-Delivery: d-{ordinal}\r\n"
            f"X-Webhook-Timestamp: {at}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


class _Tally:
    """What all connections share: what is left to send, and what came back."""

    def __init__(self, requests: list[bytes]) -> None:
        self.left: Iterator[bytes] = iter(requests)
        self.expected = len(requests)
        self.latencies_s: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Connection(asyncio.Protocol):
    """One request at a time, the next one with the answer to the last."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._time = CLOCK.monotonic  # the loop's own clock counts whole milliseconds
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # the loop's own class is no subclass of asyncio's

    def next(self) -> None:
        request = next(self._tally.left, None)
        if request is not None:
            self._sent = self._time()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.find(b"content-length: ") + 16
        size = int(self._buffer[at : self._buffer.find(b"\r\n", at)])
        if len(self._buffer) < end + 4 + size:
            return
        tally = self._tally
        tally.latencies_s.append(self._time() - self._sent)
        tally.statuses[self._buffer[9:12].decode()] += 1
        self._buffer = b""
        if len(tally.latencies_s) == tally.expected:
            tally.done.set_result(None)
        else:
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._tally.done.done():
            self._tally.done.set_exception(exc or ConnectionError("the server hung up"))


async def run(options: Options) -> None:
    """Send everything, wait for every answer, and say what came of it."""
    say(**msgspec.structs.asdict(await _fire(options, _prepare(options))))


async def _fire(options: Options, requests: list[bytes]) -> Fired:
    loop = asyncio.get_running_loop()
    tally = _Tally(requests)
    made = [
        await loop.create_connection(lambda: _Connection(tally), "127.0.0.1", options.port)
        for _ in range(options.connections)
    ]
    began = CLOCK.monotonic()
    for _, connection in made:
        connection.next()
    await tally.done
    seconds = CLOCK.monotonic() - began
    for transport, _ in made:
        transport.close()
    ordered = sorted(tally.latencies_s)
    return Fired(
        per_s=len(ordered) / seconds,
        p50_ms=quantile(ordered, 0.5) * 1000,
        p99_ms=quantile(ordered, 0.99) * 1000,
        statuses=dict(tally.statuses),
    )
