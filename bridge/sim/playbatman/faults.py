"""How this venue lies: every rate and switch, all zero or off unless asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from random import Random
from typing import Self

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Rates are chances from 0 to 1; ``_every_s`` is a period from the venue's start, 0 for never."""

    # Numbers. None for others_share: every operator gets an equal share of the one counter.
    contiguous: bool = False
    others_share: float | None = None
    burnt_rate: float = 0.0
    late_commit_rate: float = 0.0
    late_commit_max_s: float = 0.0

    # Webhooks. A lost one was lost before its first attempt: the venue believes it was sent.
    webhook_loss_rate: float = 0.0
    webhook_duplicate_rate: float = 0.0
    webhook_delay_s: float = 0.0
    webhook_reorder_s: float = 0.0
    webhook_conflict_rate: float = 0.0
    webhook_unnumbered_rate: float = 0.0
    webhook_bare_rate: float = 0.0
    webhook_spaced_rate: float = 0.0
    webhook_attempts_max: int = 3

    # Replay.
    replay_lag_rate: float = 0.0
    replay_lag_max_s: float = 0.0
    short_page_rate: float = 0.0
    empty_page_rate: float = 0.0
    missing_row_rate: float = 0.0
    error_rate: float = 0.0
    throttle_rate: float = 0.0
    throttle_retry_after_s: int = 1
    slow_rate: float = 0.0
    slow_s: float = 0.0
    requests_per_s: float = 0.0
    long_limit_refused: bool = False
    tail: tuple[str, ...] = ("hasMore",)

    # The front door: REST and sockets. Numbers are handed out all the same, webhooks wait.
    down_every_s: float = 0.0
    down_s: float = 0.0
    down_aborts: bool = False

    # The socket.
    cut_every_s: float = 0.0
    silence_every_s: float = 0.0
    silence_s: float = 0.0
    half_open: bool = False
    snapshot_on_subscribe: bool = False

    def __post_init__(self) -> None:
        wrong = [f.name for f in fields(self) if f.name.endswith("_rate") and not 0 <= getattr(self, f.name) <= 1]
        wrong += [f.name for f in fields(self) if f.name.endswith("_s") and getattr(self, f.name) < 0]
        if self.others_share is not None and not 0 <= self.others_share < 1:
            wrong.append("others_share")
        if self.burnt_rate >= 1:
            wrong.append("burnt_rate")
        if self.webhook_attempts_max not in (1, 2, 3, 4):
            wrong.append("webhook_attempts_max")
        if unknown := sorted(set(self.tail) - TAIL_FIELDS):
            wrong.append(f"tail: {', '.join(unknown)}")
        if wrong:
            raise ValueError(f"faults out of range: {', '.join(sorted(set(wrong)))}")

    def patched(self, changes: Mapping[str, object]) -> Self:
        """These faults with ``changes`` (from JSON) on top; ValueError says what is wrong."""
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"unknown faults: {', '.join(unknown)}")
        return msgspec.convert({**asdict(self), **changes}, type(self))

    @classmethod
    def heavy(cls) -> Self:
        """What the demo runs under: everything at once, nothing that a correct reader cannot survive."""
        return cls(
            burnt_rate=0.1,
            late_commit_rate=0.1,
            late_commit_max_s=1.0,
            webhook_loss_rate=0.2,
            webhook_duplicate_rate=0.05,
            webhook_reorder_s=0.3,
            webhook_spaced_rate=0.05,
            webhook_unnumbered_rate=0.05,
            replay_lag_rate=0.1,
            replay_lag_max_s=0.3,
            short_page_rate=0.1,
            empty_page_rate=0.05,
            error_rate=0.05,
            throttle_rate=0.05,
            slow_rate=0.05,
            slow_s=0.5,
            down_every_s=8.0,
            down_s=1.5,
            cut_every_s=5.0,
            silence_every_s=7.0,
            silence_s=3.0,
        )

    @classmethod
    def draw(cls, rng: Random, *, lying: bool = False) -> Self:
        """A random mix for property tests.

        Without ``lying`` nothing is later than two seconds and no interior row is kept back, so a reader
        that settles for two seconds needs no ``late`` entry. With it, anything goes: rows missing from
        complete pages, copies and commits later than any settling time, and contradicting webhooks.
        """

        def rate(most: float) -> float:
            return rng.choice((0.0, rng.uniform(0.0, most)))

        return cls(
            contiguous=rng.random() < 0.2,
            others_share=rng.choice((None, 0.0, rng.uniform(0.0, 0.9))),
            burnt_rate=rate(0.4),
            late_commit_rate=rate(0.5),
            late_commit_max_s=rng.uniform(0.0, 10.0 if lying else 1.4),
            webhook_loss_rate=rng.choice((0.0, 1.0, rng.uniform(0.0, 0.8))),
            webhook_duplicate_rate=rate(0.5),
            webhook_delay_s=rng.choice((0.0, rng.uniform(0.0, 3.0))),
            webhook_reorder_s=rng.choice((0.0, rng.uniform(0.0, 5.0))),
            webhook_conflict_rate=rate(0.2) if lying else 0.0,
            webhook_unnumbered_rate=rate(0.5),
            webhook_bare_rate=rate(0.3),
            webhook_spaced_rate=rate(0.5),
            webhook_attempts_max=rng.choice((3, 3, 4)),
            replay_lag_rate=rate(0.5),
            replay_lag_max_s=rng.uniform(0.0, 10.0 if lying else 0.4),
            short_page_rate=rate(0.5),
            empty_page_rate=rate(0.3),
            missing_row_rate=rate(0.2) if lying else 0.0,
            error_rate=rate(0.3),
            throttle_rate=rate(0.3),
            throttle_retry_after_s=rng.randint(1, 3),
            down_every_s=rng.choice((0.0, rng.uniform(10.0, 60.0))),
            down_s=rng.uniform(0.5, 9.0),
            tail=rng.choice(((), ("hasMore",), ("hasMore", "lastSequence"), ("count",))),
        )


# What may follow `events` in a replay answer. `latestSequence` is the head of the shared counter:
# it may name a number that is not ours, burnt, or not yet committed.
TAIL_FIELDS = frozenset({"hasMore", "nextSequence", "lastSequence", "latestSequence", "count", "total"})
