"""Whole envelopes as they travel, kept beside the tests, and what each of them says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.core.channel import Told
from bridge.sources.cryptomus.channels import channel_of
from bridge.sources.cryptomus.conversation import SocketConversation
from bridge.sources.cryptomus.stamps import VenueTime
from bridge.sources.socket import Heard

FOLDER = Path(__file__).parent
ORDER = "01K70000000RDER00000000001"
FILL = "01K7000000TRANSACT00000001"
WALLET = "01K7000000WALLET0000000001"
TOPICS = (
    "lastprice:BTC_USDT",
    "ticker:all",
    "depth:ETH_USDT:1",
    "trade:BTC_USDT",
    "order:all",
    "deal:all",
    "balance:USDT",
)


def recorded(name: str) -> bytes:
    return (FOLDER / f"frame_{name}.json").read_bytes().rstrip()


def at(seconds: float) -> datetime:
    """A time of the recordings, which all lie in the same minute."""
    return datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC) + timedelta(seconds=seconds)


def conversation(*topics: str, now: datetime | None = None) -> SocketConversation:
    """A conversation about ``topics`` at a clock that stands at ``now``."""
    moment = now or at(30)
    channels = [channel_of(topic) for topic in topics or TOPICS]
    return SocketConversation(channels, time=VenueTime(lambda: 0.0, lambda: moment))


def told_by(heard: Heard) -> list[Told]:
    return [update for update in heard.updates if isinstance(update, Told)]


FRAMES: list[tuple[bytes, list[tuple[str, str, datetime]]]] = [
    (recorded("lastprice"), [("lastprice.BTC_USDT", "BTC_USDT:1760000010:121500.5", at(10))]),
    (recorded("ticker"), [("ticker", "ETH_USDT:1760000011:97726d17e1021021", at(11))]),
    (recorded("depth_full"), [("depth.ETH_USDT.1", "ETH_USDT:1:1760000012:b44ee6a11602884a", at(12))]),
    (recorded("depth_change"), [("depth.ETH_USDT.1", "ETH_USDT:1:1760000013:7e6db5d950ae7bb5", at(13))]),
    (
        recorded("trade"),
        [
            ("trade.BTC_USDT", "BTC_USDT:1760000014:121500.5:0.000254:buy", at(14)),
            ("trade.BTC_USDT", "BTC_USDT:1760000014:121500.5:0.000254:buy", at(14)),
            ("trade.BTC_USDT", "BTC_USDT:1760000013:121500:2:sell", at(13)),
        ],
    ),
    (recorded("order_created"), [("order", f"{ORDER}:0created:01:0", at(15))]),
    (recorded("order_updated"), [("order", f"{ORDER}:1updated:02:20", at(16))]),
    (recorded("order_finished"), [("order", f"{ORDER}:2finished:03:120", at(17))]),
    (recorded("deal"), [("deal", FILL, at(16))]),
    (recorded("balance"), [("balance.USDT", f"{WALLET}:120:112.5#20251009T085337.000000", at(17))]),
    *((recorded(name), []) for name in ("pong", "refused")),
]
"""Heard one after the other by one conversation: a balance bears the newest time that was heard before it."""
