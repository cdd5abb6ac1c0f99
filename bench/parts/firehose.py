"""As much of one venue as wanted: Bybit's public socket with trades at a steady rate, and the lists it is asked for.

The simulated venue draws every trade and remembers it, which takes longer than the bridge needs to hear it. Here
frames are written from a pattern, as the venue's own busy ones look.
"""

import asyncio
import json
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bench.parts.edge import CLOCK, input_closed, say_port

FRAMES_PER_S = 100
CATCH_UP_MAX = 50
"""Frames that are written at once after the machine was busy elsewhere; what is behind that is not offered."""


class Options(msgspec.Struct, frozen=True):
    """``trades_per_s`` of each symbol; they begin when the first subscription comes."""

    trades_per_s: int
    symbols: list[str] = []


class _Firehose:
    def __init__(self, options: Options) -> None:
        self._each = max(1, options.trades_per_s // FRAMES_PER_S)
        self._symbols = options.symbols
        self._number = 0

    async def talk(self, connection: ServerConnection) -> None:
        """Answer, and once something is subscribed, write without end."""
        async with asyncio.TaskGroup() as group:
            writing: asyncio.Task[None] | None = None
            async for frame in connection:
                told = json.loads(frame)
                answer = {"success": True, "ret_msg": "pong" if told["op"] == "ping" else "", "conn_id": "1"}
                await connection.send(json.dumps({**answer, "op": told["op"], "req_id": told.get("req_id", "")}))
                if told["op"] == "subscribe" and self._symbols and writing is None:
                    writing = group.create_task(self._write(connection))
            if writing is not None:
                writing.cancel()

    async def _write(self, connection: ServerConnection) -> None:
        began, frame = CLOCK.monotonic(), 0
        while True:
            frame = max(frame, int((CLOCK.monotonic() - began) * FRAMES_PER_S) - CATCH_UP_MAX) + 1
            for symbol in self._symbols:
                await connection.send(self._frame(symbol), text=True)
            await CLOCK.sleep(max(0.0, began + frame / FRAMES_PER_S - CLOCK.monotonic()))

    def _frame(self, symbol: str) -> bytes:
        at_ms, first = int(CLOCK.now().timestamp() * 1000), self._number
        self._number += self._each
        trades = ",".join(
            f'{{"T":{at_ms},"s":"{symbol}","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick",'
            f'"i":"{number:032x}","BT":false,"seq":{number}}}'
            for number in range(first, self._number)
        )
        return f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{at_ms},"data":[{trades}]}}'.encode()


def _listed(connection: ServerConnection, request: Request) -> Response | None:
    """The lists: nothing was before."""
    if not request.path.startswith("/v5/market/"):
        return None
    told = {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": []}, "retExtInfo": {},
            "time": int(CLOCK.now().timestamp() * 1000)}  # fmt: skip
    content = json.dumps(told).encode()
    headers = Headers({"content-type": "application/json", "content-length": str(len(content))})
    return Response(HTTPStatus.OK, "OK", headers, content)


async def run(options: Options) -> None:
    """Run until the input is closed."""
    hose = _Firehose(options)
    server: Server = await serve(
        hose.talk, "127.0.0.1", 0, process_request=_listed, compression=None, ping_interval=None, max_queue=1
    )
    async with server:
        say_port(int(server.sockets[0].getsockname()[1]))
        await input_closed()
