"""Whole envelopes as they travel, kept beside the tests, and what each of them says."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent
SYMBOL = "ETHUSDTPERP"
ORDER = "6a03d1"
CONNECT_ID = "c0ffee-1"
TOPICS = (
    f"/contractMarket/level2:{SYMBOL}",
    f"/contractMarket/level3v2:{SYMBOL}",
    f"/contractMarket/level2Depth5:{SYMBOL}",
    f"/contractMarket/level2Depth50:{SYMBOL}",
    f"/contractMarket/ticker:{SYMBOL}",
    f"/contractMarket/execution:{SYMBOL}",
    f"/contract/instrument:{SYMBOL}",
    "/contract/announcement",
    f"/contractMarket/snapshot:{SYMBOL}",
    "/contractMarket/tradeOrders",
    f"/contractMarket/tradeOrders:{SYMBOL}",
    "/contractMarket/advancedOrders",
    "/contractAccount/wallet",
    f"/contract/position:{SYMBOL}",
)


def recorded(name: str) -> bytes:
    return (FOLDER / f"frame_{name}.json").read_bytes().rstrip()


def data_of(name: str) -> bytes:
    """The bytes of a recorded frame's data, exactly as they stand in it."""
    _, _, rest = recorded(name).partition(b'"data":')
    return rest[:-1]


def us(microseconds: int) -> datetime:
    """A time of the recordings, which all lie within a few seconds."""
    return datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _state(name: str, subject: str, microseconds: int) -> str:
    """The id of what has none: its subject, its time, and its content."""
    return f"{subject}:{1760000000_000000 + microseconds}:{hashlib.sha256(data_of(name)).hexdigest()[:16]}"


FRAMES: list[tuple[bytes, list[tuple[str, str, datetime]]]] = [
    (recorded("level2"), [(f"level2.{SYMBOL}", "5007-5009", us(321_000))]),
    (recorded("level2_single"), [(f"level2.{SYMBOL}", "5010", us(341_000))]),
    (recorded("level2_older"), [(f"level2.{SYMBOL}", "5011", us(361_000))]),
    (recorded("level3"), [(f"level3v2.{SYMBOL}", "900001", us(400_000))]),
    (recorded("depth5"), [(f"level2Depth5.{SYMBOL}", _state("depth5", "level2", 500_000), us(500_000))]),
    (recorded("depth50"), [(f"level2Depth50.{SYMBOL}", _state("depth50", "level2", 520_000), us(520_000))]),
    (recorded("ticker"), [(f"ticker.{SYMBOL}", "70011:1760000000600000400", us(600_000))]),
    (recorded("execution"), [(f"execution.{SYMBOL}", "6a02c1", us(600_000))]),
    (recorded("execution_kucoin"), [(f"execution.{SYMBOL}", "6a02c2", us(610_000))]),
    (
        recorded("mark_price"),
        [(f"instrument.{SYMBOL}", _state("mark_price", "mark.index.price", 1_000_000), us(1_000_000))],
    ),
    (
        recorded("funding_rate"),
        [(f"instrument.{SYMBOL}", _state("funding_rate", "funding.rate", 1_060_000), us(1_060_000))],
    ),
    (recorded("funding_begin"), [("announcement", f"funding.begin:{SYMBOL}:1760000004000", us(1_500_000))]),
    (
        recorded("snapshot"),
        [(f"snapshot.{SYMBOL}", _state("snapshot", "snapshot.24h", 1_700_000), us(1_700_000))],
    ),
    (recorded("order_open"), [("tradeOrders", f"{ORDER}:open:1760000002000000700", us(2_000_000))]),
    (recorded("order_match"), [("tradeOrders", f"{ORDER}:match:6a02c3", us(2_100_000))]),
    (recorded("order_filled"), [(f"tradeOrders.{SYMBOL}", f"{ORDER}:filled:1760000002100000800", us(2_100_000))]),
    (recorded("stop_order"), [("advancedOrders", "6a04e1:triggered", us(2_200_000))]),
    (recorded("wallet"), [("wallet", _state("wallet", "availableBalance.change", 2_300_000), us(2_300_000))]),
    (
        recorded("position"),
        [(f"position.{SYMBOL}", _state("position", "position.change", 2_400_000), us(2_400_000))],
    ),
    (
        recorded("position_tick"),
        [(f"position.{SYMBOL}", _state("position_tick", "position.change", 2_500_000), us(2_500_000))],
    ),
    (recorded("settlement"), [(f"position.{SYMBOL}", "position.settlement:1760000004000", us(4_000_001))]),
    *((recorded(name), []) for name in ("welcome", "ack", "pong", "error", "notice", "command")),
]
