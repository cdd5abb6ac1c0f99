"""Whole envelopes as they travel, kept beside the tests, and what each of them tells."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent
TOPICS = (
    "orderbook.50.SOLUSDT",
    "orderbook.1.SOLUSDT",
    "publicTrade.SOLUSDT",
    "tickers.SOLUSDT",
    "kline.5.SOLUSDT",
    "allLiquidation.SOLUSDT",
    "insurance.USDT",
    "execution",
    "execution.fast",
    "order",
    "position",
    "wallet",
)
ORDER = "aa11bb22-0000-4000-8000-00000000d001"
PONGS = ("pong_spot", "pong_linear", "pong_option", "pong_private")


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes().rstrip()


def ms(stamp: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp)


def _short(name: str) -> str:
    return hashlib.sha256(recorded(name)).hexdigest()[:12]


def _item(name: str) -> bytes:
    text = recorded(name)
    begin = text.index(b'"data":[') + len(b'"data":[')
    return text[begin : text.rindex(b"]")]


_TOLD: dict[str, list[tuple[str, str, int]]] = {
    "frame_book_snapshot": [("orderbook.50.SOLUSDT", "whole:1760000000099:900104:77000440", 1760000000099)],
    "frame_book_delta": [("orderbook.50.SOLUSDT", "900105:77000441", 1760000000137)],
    "frame_book_restart": [("orderbook.50.SOLUSDT", "whole:1760000000177:1:77000450", 1760000000177)],
    "frame_top": [("orderbook.1.SOLUSDT", "412:77000441", 1760000000137)],
    "frame_trades": [
        ("publicTrade.SOLUSDT", "SOLUSDT:6f0e2b1c-0000-5000-8000-000000000001", 1760000000199),
        ("publicTrade.SOLUSDT", "SOLUSDT:6f0e2b1c-0000-5000-8000-000000000002", 1760000000199),
    ],
    "frame_ticker": [("tickers.SOLUSDT", f"1760000000300:77000500:{_short('frame_ticker')}", 1760000000300)],
    "frame_kline_open": [
        (
            "kline.5.SOLUSDT",
            f"1759999800000:1760000000199:{hashlib.sha256(_item('frame_kline_open')).hexdigest()[:12]}",
            1760000000199,
        )
    ],
    "frame_kline_closed": [("kline.5.SOLUSDT", "1759999800000:closed", 1760000100000)],
    "frame_liquidations": [
        ("allLiquidation.SOLUSDT", "1760000000421:Buy:198.2:5.5", 1760000000421),
        ("allLiquidation.SOLUSDT", "1760000000421:Buy:198.2:5.5", 1760000000421),
    ],
    "frame_insurance": [("insurance.USDT", f"1760000001000:{_short('frame_insurance')}", 1760000001000)],
    "frame_execution": [
        ("execution", "linear:9d1a4f0e-0000-4000-8000-00000000e001", 1760000000199),
        ("execution", "linear:9d1a4f0e-0000-4000-8000-00000000e002", 1760000000199),
    ],
    "frame_execution_fast": [("execution.fast", "linear:9d1a4f0e-0000-4000-8000-00000000e001", 1760000000199)],
    "frame_order": [("order", f"{ORDER}:1760000000199:Filled:4::", 1760000000199)],
    "frame_order_twice_filled": [
        ("order", f"{ORDER}:1760000000199:Filled:4:CancelByUser:EC_PerCancelRequest", 1760000000199)
    ],
    "frame_position": [("position", "linear:SOLUSDT:0:1760000000199:77000442:4", 1760000000199)],
    "frame_position_untouched": [("position", "linear:XRPUSDT:0:1760000000208:-1:0", 1760000000208)],
    "frame_wallet": [("wallet", "b1c2d3-wallet-1:0", 1760000000211)],
}

FRAMES: list[tuple[bytes, list[tuple[str, str, datetime]]]] = [
    (recorded(name), [(series, event_id, ms(at)) for series, event_id, at in told]) for name, told in _TOLD.items()
]
"""Each frame, and the (series, event id, time) of everything it tells."""

FRAME_NAMES = tuple(_TOLD)
