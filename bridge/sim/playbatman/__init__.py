"""A PlayBatman that lies on purpose, with a seed, and knows what it assigned."""

from bridge.sim.playbatman.faults import Faults
from bridge.sim.playbatman.outbox import Delivery, Webhook
from bridge.sim.playbatman.rest import API_KEY, rest_app
from bridge.sim.playbatman.row import Row
from bridge.sim.playbatman.server import SimConfig, serve
from bridge.sim.playbatman.session import SocketLimits
from bridge.sim.playbatman.signing import Signing
from bridge.sim.playbatman.venue import MARKETS, Venue

__all__ = [
    "API_KEY",
    "MARKETS",
    "Delivery",
    "Faults",
    "Row",
    "Signing",
    "SimConfig",
    "SocketLimits",
    "Venue",
    "Webhook",
    "rest_app",
    "serve",
]
