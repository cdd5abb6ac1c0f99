"""A simulated Cryptomus: one-time tokens, a socket that speaks in seconds, and lists by offset."""

from decimal import Decimal

from bridge.sim.cryptomus.signing import API_KEY, PAYMENT_KEY, USER_ID, callback
from bridge.sim.cryptomus.venue import Cryptomus
from bridge.sim.market import Kit, Shape
from bridge.sim.market.facts import Instrument

SHAPE = Shape(
    instruments=(
        Instrument(
            symbol="BTC_USDT",
            base="BTC",
            quote="USDT",
            price=Decimal("121500.00"),
            tick=Decimal("0.50"),
            lot=Decimal("0.001"),
        ),
        Instrument(
            symbol="ETH_USDT",
            base="ETH",
            quote="USDT",
            price=Decimal("4310.00"),
            tick=Decimal("0.10"),
            lot=Decimal("0.01"),
        ),
    ),
    liquidations=0.0,
)
KIT = Kit("cryptomus", SHAPE, Cryptomus)

__all__ = ["API_KEY", "KIT", "PAYMENT_KEY", "SHAPE", "USER_ID", "callback"]
