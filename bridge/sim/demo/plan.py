"""When whose lines break in a demo: the same seed, the same plan. Nothing here asks anybody anything."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

EVERY_S = 3.5
SPELLS_MIN = 2
SILENCE_S = 2.5
DOWN_S = 1.5
CLOSE_CODE = 1001
KINDS = ("cut", "silence", "down", "close")


class Spell(NamedTuple):
    """An order to a venue's control plane, at a moment of the traffic in seconds."""

    at_s: float
    order: str
    what: Mapping[str, float]


def plan(venue: str, *, seed: int, seconds: float) -> Sequence[Spell]:
    """What befalls the lines of ``venue``, in order: of each kind about as often, with time to heal at the end."""
    dice = Random(f"{seed}:plan:{venue}")
    count = max(SPELLS_MIN, int(seconds / EVERY_S))
    slot_s = seconds * 0.9 / count
    kinds: list[str] = []
    while len(kinds) < count:
        kinds += dice.sample(KINDS, len(KINDS))
    return [
        Spell((nth + dice.uniform(0.1, 0.6)) * slot_s, kind, _what(kind)) for nth, kind in enumerate(kinds[:count])
    ]


def _what(kind: str) -> Mapping[str, float]:
    match kind:
        case "silence":
            return {"seconds": SILENCE_S}
        case "down":
            return {"seconds": DOWN_S}
        case "close":
            return {"code": CLOSE_CODE}
        case _:
            return {}
