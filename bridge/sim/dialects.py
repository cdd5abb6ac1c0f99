"""The simulated venues that are dialects of the shared market, by name: one import and one line for each."""

from collections.abc import Mapping

from bridge.sim.market import Kit

_KITS: tuple[Kit, ...] = ()

DIALECTS: Mapping[str, Kit] = {kit.venue: kit for kit in _KITS}
