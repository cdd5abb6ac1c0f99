"""A simulated Bybit V5: public and private sockets and signed lists, refusing what the venue refuses."""

from decimal import Decimal

from bridge.sim.bybit.signing import API_KEY, API_SECRET
from bridge.sim.bybit.venue import Bybit
from bridge.sim.market import Kit, Shape
from bridge.sim.market.facts import Instrument

SHAPE = Shape(
    instruments=(
        Instrument(
            symbol="BTCUSDT",
            base="BTC",
            quote="USDT",
            price=Decimal("64000.00"),
            tick=Decimal("0.10"),
            lot=Decimal("0.001"),
        ),
        Instrument(
            symbol="ETHUSDT",
            base="ETH",
            quote="USDT",
            price=Decimal("3100.00"),
            tick=Decimal("0.01"),
            lot=Decimal("0.01"),
        ),
    ),
)
KIT = Kit("bybit", SHAPE, Bybit)

__all__ = ["API_KEY", "API_SECRET", "KIT", "SHAPE"]
