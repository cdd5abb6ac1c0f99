"""The simulated venues that are dialects of the shared market, by name: one import and one line for each."""

from collections.abc import Mapping

from bridge.sim import bybit, cryptomus, poloniex_v1, poloniex_v3
from bridge.sim.market import Kit

_KITS: tuple[Kit, ...] = (bybit.KIT, cryptomus.KIT, poloniex_v1.KIT, poloniex_v3.KIT)

DIALECTS: Mapping[str, Kit] = {kit.venue: kit for kit in _KITS}
