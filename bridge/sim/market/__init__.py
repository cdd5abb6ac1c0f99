"""A market whose truth is known, for venues that lie about it: what every simulated dialect is built on.

A dialect implements ``Dialect`` and ``Session`` (dialect.py), asks ``Market`` for what happened, and is listed as a
``Kit`` in bridge/sim/dialects.py. Everything else is here: connections, faults, control plane, truth.
"""

from bridge.sim.market.dialect import (
    Answer,
    Asked,
    Close,
    Cut,
    Dialect,
    Handshake,
    Kit,
    Push,
    Refuse,
    Said,
    Say,
    Scene,
    Session,
    Trouble,
    Way,
)
from bridge.sim.market.faults import Faults
from bridge.sim.market.market import Market, Shape
from bridge.sim.market.server import SimConfig, Stage, serve, with_symbols
from bridge.sim.market.truth import Assigned, Row, Truth

__all__ = [
    "Answer",
    "Asked",
    "Assigned",
    "Close",
    "Cut",
    "Dialect",
    "Faults",
    "Handshake",
    "Kit",
    "Market",
    "Push",
    "Refuse",
    "Row",
    "Said",
    "Say",
    "Scene",
    "Session",
    "Shape",
    "SimConfig",
    "Stage",
    "Trouble",
    "Truth",
    "Way",
    "serve",
    "with_symbols",
]
