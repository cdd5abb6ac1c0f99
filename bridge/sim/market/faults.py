"""How a market's venue lies: every rate and period, all zero or off unless asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from random import Random
from typing import Self

import msgspec

SKEW_S_MAX = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Rates are chances from 0 to 1; ``_every_s`` is a period from the venue's start, 0 for never."""

    # Frames that are pushed. ``only`` these series, or those below them in dots, are concerned; empty: all are.
    only: tuple[str, ...] = ()
    drop_rate: float = 0.0
    duplicate_rate: float = 0.0
    reorder_rate: float = 0.0
    reorder_frames_max: int = 3
    delay_rate: float = 0.0
    delay_max_s: float = 0.0
    corrupt_rate: float = 0.0

    # Connections.
    refuse_upgrade_rate: float = 0.0
    expired_rate: float = 0.0
    cut_every_s: float = 0.0
    close_every_s: float = 0.0
    close_code: int = 1001
    silence_every_s: float = 0.0
    silence_s: float = 0.0
    half_open: bool = False

    # REST. Throttled is a 429 or the venue's code for it, banned its 403, broken a 5xx.
    throttle_rate: float = 0.0
    ban_rate: float = 0.0
    broken_rate: float = 0.0
    slow_rate: float = 0.0
    slow_s: float = 0.0
    short_page_rate: float = 0.0
    cursor_loop_rate: float = 0.0
    lag_rate: float = 0.0
    lag_max_s: float = 0.0

    # The venue as a whole: REST and sockets refuse, and things happen all the same.
    down_every_s: float = 0.0
    down_s: float = 0.0
    down_aborts: bool = False
    skew_s: float = 0.0

    def __post_init__(self) -> None:
        wrong = [f.name for f in fields(self) if f.name.endswith("_rate") and not 0 <= getattr(self, f.name) <= 1]
        wrong += [
            f.name for f in fields(self) if f.name.endswith("_s") and f.name != "skew_s" and getattr(self, f.name) < 0
        ]
        if not -SKEW_S_MAX <= self.skew_s <= SKEW_S_MAX:
            wrong.append("skew_s")
        if not 1 <= self.reorder_frames_max <= 1_000:
            wrong.append("reorder_frames_max")
        if not 1000 <= self.close_code <= 4999:
            wrong.append("close_code")
        if wrong:
            raise ValueError(f"faults out of range: {', '.join(sorted(set(wrong)))}")

    def patched(self, changes: Mapping[str, object]) -> Self:
        """These faults with ``changes`` (from JSON) on top; ValueError says what is wrong."""
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"unknown faults: {', '.join(unknown)}")
        return msgspec.convert({**asdict(self), **changes}, type(self))

    def concern(self, series: str) -> bool:
        """Whether the frames of ``series`` may be harmed."""
        return not self.only or any(series == one or series.startswith(f"{one}.") for one in self.only)

    @classmethod
    def heavy(cls) -> Self:
        """What the demo runs under: everything at once, nothing that a correct reader cannot survive or tell."""
        return cls(
            drop_rate=0.01,
            duplicate_rate=0.05,
            reorder_rate=0.02,
            delay_rate=0.05,
            delay_max_s=0.2,
            corrupt_rate=0.005,
            refuse_upgrade_rate=0.1,
            expired_rate=0.05,
            cut_every_s=11.0,
            close_every_s=17.0,
            silence_every_s=23.0,
            silence_s=4.0,
            half_open=True,
            throttle_rate=0.03,
            broken_rate=0.03,
            slow_rate=0.05,
            slow_s=0.4,
            short_page_rate=0.1,
            cursor_loop_rate=0.01,
            lag_rate=0.2,
            lag_max_s=1.0,
            down_every_s=29.0,
            down_s=2.0,
            skew_s=0.4,
        )

    @classmethod
    def draw(cls, rng: Random) -> Self:
        """A random mix for property tests: nothing is told later than 0.4 s, no list lags for more than 1.5 s."""

        def rate(most: float) -> float:
            return rng.choice((0.0, rng.uniform(0.0, most)))

        def period(least: float, most: float) -> float:
            return rng.choice((0.0, rng.uniform(least, most)))

        return cls(
            drop_rate=rate(0.1),
            duplicate_rate=rate(0.3),
            reorder_rate=rate(0.2),
            reorder_frames_max=rng.randint(1, 8),
            delay_rate=rate(0.3),
            delay_max_s=rng.uniform(0.0, 0.4),
            corrupt_rate=rate(0.05),
            refuse_upgrade_rate=rate(0.3),
            expired_rate=rate(0.2),
            cut_every_s=period(5.0, 60.0),
            close_every_s=period(5.0, 60.0),
            close_code=rng.choice((1000, 1001, 1012, 4001)),
            silence_every_s=period(20.0, 60.0),
            silence_s=rng.uniform(0.5, 9.0),
            half_open=rng.random() < 0.5,
            throttle_rate=rate(0.2),
            ban_rate=rate(0.05),
            broken_rate=rate(0.2),
            short_page_rate=rate(0.5),
            cursor_loop_rate=rate(0.1),
            lag_rate=rate(0.5),
            lag_max_s=rng.uniform(0.0, 1.5),
            down_every_s=period(10.0, 60.0),
            down_s=rng.uniform(0.5, 9.0),
            down_aborts=rng.random() < 0.5,
            skew_s=rng.choice((0.0, rng.uniform(-2.0, 2.0))),
        )
