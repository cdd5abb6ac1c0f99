"""A simulated Poloniex Futures v1: tokens, one socket path and signed lists, refusing what the venue refuses."""

from decimal import Decimal

from bridge.sim.market import Kit, Shape
from bridge.sim.market.facts import Instrument
from bridge.sim.poloniex_v1.signing import API_KEY, API_SECRET, PASSPHRASE
from bridge.sim.poloniex_v1.venue import PoloniexV1

SHAPE = Shape(
    instruments=(
        Instrument(
            symbol="BTCUSDTPERP",
            base="XBT",
            quote="USDT",
            price=Decimal("64000.0"),
            tick=Decimal("0.5"),
            lot=Decimal(1),
        ),
        Instrument(
            symbol="ETHUSDTPERP",
            base="ETH",
            quote="USDT",
            price=Decimal("3100.00"),
            tick=Decimal("0.05"),
            lot=Decimal(1),
        ),
    ),
)
KIT = Kit("poloniex_v1", SHAPE, PoloniexV1)

__all__ = ["API_KEY", "API_SECRET", "KIT", "PASSPHRASE", "SHAPE"]
