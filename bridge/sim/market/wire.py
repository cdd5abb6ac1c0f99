"""The way from the venue to its listeners: frames get lost, doubled, spoilt, held back. Pure, with a seed.

What happens to a frame happens to it for every listener, so that the truth can tell what nobody could hear.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from bridge.sim.market.dialect import Push
from bridge.sim.market.faults import Faults
from bridge.sim.market.truth import Assigned

HOLD_S_MAX = 0.25
"""How long a frame is held back for others to overtake it where none come."""
HELD_FRAMES_MAX = 100_000


class Wire:
    """Frames in, frames out, in the order in which they leave. Each series has dice of its own."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._dice: dict[str, Random] = {}
        self._passed: dict[str, int] = {}
        self._to_overtake: dict[str, int] = {}
        self._held: list[tuple[datetime, int, int | None, Push]] = []
        self._ticket = 0
        self.counts = dict.fromkeys(("dropped", "duplicated", "reordered", "delayed", "corrupted"), 0)

    @property
    def held(self) -> int:
        """How many frames are still to come."""
        return len(self._held)

    def carry(
        self, pushes: Iterable[Push], now: datetime, faults: Faults
    ) -> tuple[list[Push], list[tuple[Assigned, ...]]]:
        """The frames that leave at ``now``, with ``pushes`` as the newest, and the events that were swallowed."""
        leaving, swallowed = self._due(now), []
        for push in pushes:
            if not faults.concern(push.series):
                leaving.append(push)
                continue
            dice = self._dice.setdefault(push.series, Random(f"{self._seed}:wire:{push.series}"))
            fate = self._fate(dice, faults)
            if fate in ("dropped", "corrupted"):
                swallowed.append(push.items)
            if fate == "dropped":
                continue
            if fate == "corrupted":
                push = push._replace(frame=spoilt(push.frame, dice), items=())
            if fate == "reordered" and len(self._held) < HELD_FRAMES_MAX:
                after = self._passed.get(push.series, 0) + dice.randint(1, faults.reorder_frames_max)
                self._hold(push, now + timedelta(seconds=HOLD_S_MAX), after)
                continue
            if fate == "delayed" and len(self._held) < HELD_FRAMES_MAX:
                self._hold(push, now + timedelta(seconds=dice.uniform(0.0, faults.delay_max_s)), None)
                continue
            leaving.append(push)
            if fate == "duplicated":
                leaving.append(push)
            leaving += self._overtaken(push.series)
        return leaving, swallowed

    def _fate(self, dice: Random, faults: Faults) -> str | None:
        """One roll, so that no frame meets two fates."""
        roll = dice.random()
        for fate, rate in (
            ("dropped", faults.drop_rate),
            ("corrupted", faults.corrupt_rate),
            ("reordered", faults.reorder_rate),
            ("delayed", faults.delay_rate),
            ("duplicated", faults.duplicate_rate),
        ):
            if roll < rate:
                self.counts[fate] += 1
                return fate
            roll -= rate
        return None

    def _hold(self, push: Push, until: datetime, after: int | None) -> None:
        self._ticket += 1
        if after is not None:
            self._to_overtake[push.series] = self._to_overtake.get(push.series, 0) + 1
        heapq.heappush(self._held, (until, self._ticket, after, push))

    def _due(self, now: datetime) -> list[Push]:
        due = []
        while self._held and self._held[0][0] <= now:
            _, _, after, push = heapq.heappop(self._held)
            if after is not None:
                self._to_overtake[push.series] -= 1
            due.append(push)
        return due

    def _overtaken(self, series: str) -> list[Push]:
        """What was held back until so many frames of ``series`` had passed."""
        passed = self._passed[series] = self._passed.get(series, 0) + 1
        if not self._to_overtake.get(series):
            return []
        free = [held for held in self._held if held[3].series == series and held[2] is not None and held[2] <= passed]
        if free:
            self._to_overtake[series] -= len(free)
            tickets = {held[1] for held in free}
            self._held = [held for held in self._held if held[1] not in tickets]
            heapq.heapify(self._held)
        return [held[3] for held in sorted(free)]


def spoilt(frame: bytes, dice: Random) -> bytes:
    """The frame in a way that no reader can take for a frame: cut short, or no text at all."""
    if dice.random() < 0.7 and len(frame) > 1:
        return frame[: dice.randint(1, len(frame) - 1)]
    return b"\xff\xfe" + frame[: len(frame) // 2]
