"""A receiver without a network: it answers as it is told, and remembers what it took."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from bridge.core.delivery import Answered, Outcome

OK = Answered(204, None, "", 0.001)
NO = Answered(500, None, "not today", 0.001)


class Desk:
    """An egress. While ``open`` is not set every post waits; ``refused`` positions are answered 500."""

    def __init__(self, *refused: int) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.refused = set(refused)
        self.bodies: list[dict[str, Any]] = []
        self.taken: list[tuple[str, int]] = []
        self.previous: dict[int, int | None] = {}
        self.under_way = 0
        self.posted: asyncio.Queue[int] = asyncio.Queue()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        told = json.loads(body)
        self.under_way += 1
        self.posted.put_nowait(self.under_way)
        await self.open.wait()
        self.under_way -= 1
        entries = told["entries"] if told["type"] == "bridge.batch" else [told]
        if any(entry["position"] in self.refused for entry in entries):
            return NO
        self.bodies.append(told)
        for entry in entries:
            if entry["position"] is not None:
                self.taken.append((entry["key"], entry["position"]))
                self.previous[entry["position"]] = entry["previous"]
        return OK

    def order_of(self, key: str) -> list[int]:
        """The positions taken of one key, in the order of taking."""
        return [position for one, position in self.taken if one == key]

    def positions(self) -> list[int]:
        return sorted(position for _, position in self.taken)
