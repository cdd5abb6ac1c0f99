"""A simulated Poloniex Futures v3: two sockets and signed lists, refusing what the venue refuses."""

from decimal import Decimal

from bridge.sim.market import Kit, Shape
from bridge.sim.market.facts import Instrument
from bridge.sim.poloniex_v3.signing import API_KEY, API_SECRET
from bridge.sim.poloniex_v3.venue import PoloniexV3

SHAPE = Shape(
    instruments=(
        Instrument(
            symbol="BTC_USDT_PERP",
            base="BTC",
            quote="USDT",
            price=Decimal("64000.0"),
            tick=Decimal("0.5"),
            lot=Decimal(1),
        ),
        Instrument(
            symbol="ETH_USDT_PERP",
            base="ETH",
            quote="USDT",
            price=Decimal("3100.00"),
            tick=Decimal("0.05"),
            lot=Decimal(1),
        ),
    ),
    jump_max=4,
)
KIT = Kit("poloniex_v3", SHAPE, PoloniexV3)

__all__ = ["API_KEY", "API_SECRET", "KIT", "SHAPE"]
