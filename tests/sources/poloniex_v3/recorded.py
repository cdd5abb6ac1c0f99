"""Whole envelopes as they travel, kept beside the tests, and what each of them says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent
SYMBOL = "BTC_USDT_PERP"
ORDER = "331002200001"
POSITION = f"{SYMBOL}|BOTH|CROSS"


def recorded(name: str) -> bytes:
    return (FOLDER / f"frame_{name}.json").read_bytes().rstrip()


def ms(milliseconds: int) -> datetime:
    """A time of the recordings, which all lie in the same second or two."""
    return datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


TOPICS = (
    f"book_lv2:{SYMBOL}",
    f"book:{SYMBOL}",
    f"trades:{SYMBOL}",
    f"tickers:{SYMBOL}",
    f"mark_price:{SYMBOL}",
    f"funding_rate:{SYMBOL}",
    f"candles_minute_1:{SYMBOL}",
    f"mark_price_candles_minute_1:{SYMBOL}",
    f"liquidation_orders:{SYMBOL}",
    "orders",
    "trade",
    "positions",
    "account",
)

FRAMES: list[tuple[bytes, list[tuple[str, str, datetime]]]] = [
    (recorded("book_lv2_snapshot"), [(f"book_lv2.{SYMBOL}", f"{SYMBOL}:880104:s", ms(321))]),
    (recorded("book_lv2_update"), [(f"book_lv2.{SYMBOL}", f"{SYMBOL}:880109:u", ms(361))]),
    (recorded("book"), [(f"book.{SYMBOL}", f"{SYMBOL}:552301", ms(400))]),
    (
        recorded("trades"),
        [(f"trades.{SYMBOL}", f"{SYMBOL}:70001", ms(507)), (f"trades.{SYMBOL}", f"{SYMBOL}:70002", ms(507))],
    ),
    (recorded("tickers"), [(f"tickers.{SYMBOL}", f"{SYMBOL}:1760000000600", ms(600))]),
    (recorded("mark_price"), [(f"mark_price.{SYMBOL}", f"{SYMBOL}:1760000001000", ms(1000))]),
    (recorded("funding_rate"), [(f"funding_rate.{SYMBOL}", f"{SYMBOL}:1760000002000", ms(2000))]),
    (
        recorded("candles"),
        [(f"candles_minute_1.{SYMBOL}", f"{SYMBOL}:1759999980000:1760000002500", ms(2500))],
    ),
    (
        recorded("mark_candles"),
        [(f"mark_price_candles_minute_1.{SYMBOL}", f"{SYMBOL}:1759999980000:1760000002600", ms(2600))],
    ),
    (
        recorded("liquidation"),
        [(f"liquidation_orders.{SYMBOL}", f"{SYMBOL}:39eb136a4af280d12912ca3b5975b8e4", ms(2700))],
    ),
    (recorded("orders"), [("orders", f"{ORDER}:1760000003000:PARTIALLY_FILLED:4", ms(3000))]),
    (recorded("trade"), [("trade", f"{SYMBOL}:70010:{ORDER}", ms(3000))]),
    (recorded("positions"), [("positions", f"{POSITION}:1760000003000:14", ms(3000))]),
    (
        recorded("account"),
        [("account", "USDT:1760000003000:1500.25", ms(3000)), ("account", "BTC:1759999000000:0.01", ms(-1_000_000))],
    ),
    *((recorded(name), []) for name in ("ack", "ack_bare", "authenticated", "pong", "error", "subscriptions")),
]
