"""The venues without numbers as a demo has them: their channels, their faults, and what a user would configure."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from string import Template

from bridge.core.channel import Channel, Model, Repair
from bridge.sim import bybit, cryptomus, poloniex_v1, poloniex_v3
from bridge.sim.demo.series import Terms
from bridge.sim.market import Faults
from bridge.sources.bybit.channels import channel_of as bybit_channel
from bridge.sources.cryptomus.channels import channel_of as cryptomus_channel
from bridge.sources.poloniex_v1.channels import channel_of as poloniex_v1_channel
from bridge.sources.poloniex_v3.channels import channel_of as poloniex_v3_channel

STANDING = frozenset({"skew_s", "only"})
"""What stays as it is when the faults end: a venue's clock does not leap for a demo's sake."""
# Lines break by the plan of the demo, not by the venue's clock.
HEAVY = replace(Faults.heavy(), cut_every_s=0.0, close_every_s=0.0, silence_every_s=0.0, down_every_s=0.0)
# The waits of the bridge are cut short, so that a demo is not long.
SOCKET = "ping_interval_s = 0.4\nacknowledge_timeout_s = 1.0\nbackoff_first_s = 0.1\nbackoff_max_s = 1.0"
LISTS = "timeout_s = 3.0\nbackoff_first_s = 0.1\nbackoff_max_s = 1.0\nretry_after_max_s = 1.0"
FOLLOW = """\
pad_s           = 0.3
overlap_s       = 1.0
prove_every_s   = 0.3
poll_every_s    = 1.0
snapshot_wait_s = 1.0
retry_max_s     = 1.0
audit_every_s   = 2.0"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A venue of the demo. ``source`` is its name in the configuration, which is ``template`` with its port.

    ``options`` are switches of the simulated venue, ``secrets`` what the configuration takes from the environment.
    ``partly_listed`` names the series whose lists lack some events: (series, what stands in the ids of those that
    they do hold, None where no id tells).
    """

    venue: str
    source: str
    topics: tuple[str, ...]
    channel_of: Callable[[str], Channel]
    template: str
    secrets: Mapping[str, str]
    faults: Faults = HEAVY
    options: tuple[str, ...] = ()
    partly_listed: Mapping[str, str | None] | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(self.channel_of(topic) for topic in self.topics)

    def stream(self, channel: Channel) -> str:
        """The name of the channel's stream."""
        return f"{self.source}.{channel.series}"

    def toml(self, port: int) -> str:
        """Its part of the bridge's configuration."""
        topics = ", ".join(f'"{topic}"' for topic in self.topics)
        return Template(self.template).substitute(
            here=f"127.0.0.1:{port}", name=self.source, topics=topics, socket=SOCKET, lists=LISTS, follow=FOLLOW
        )

    def terms(self, channel: Channel) -> Terms:
        """What may be expected of the channel's stream."""
        partly = self.partly_listed or {}
        listed = channel.repair is Repair.HISTORY and channel.model is Model.KEYED
        mark = partly.get(channel.series, "")
        return Terms(
            in_session=channel.in_session,
            twins=channel.model in (Model.NONE, Model.VALUE_LINKED),
            unnoticed=channel.unnoticed is not None,
            untimed=channel.model is Model.VALUE_LINKED or channel.repair is Repair.PULL,
            repairs=listed and mark is not None,
            repaired=mark or "",
        )


BYBIT = Followed(
    venue="bybit",
    source="by",
    topics=("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT", "execution", "order", "position", "wallet"),
    channel_of=partial(bybit_channel, category="linear"),
    template="""\
[sources.$name]
venue          = "bybit"
rest_url       = "http://$here"
ws_url         = "ws://$here/v5/public/linear"
private_ws_url = "ws://$here/v5/private"
api_key        = "$${BY_API_KEY}"
api_secret     = "$${BY_API_SECRET}"
channels       = [$topics]

[sources.$name.ws]
silence_s = 1.5
unauthorized_retry_s = 1.0
$socket

[sources.$name.rest]
requests_per_s = 100
banned_s       = 0.5
$lists

[sources.$name.follow]
$follow
""",
    secrets={"BY_API_KEY": bybit.API_KEY, "BY_API_SECRET": bybit.API_SECRET},
    faults=replace(HEAVY, ban_rate=0.02),
)
CRYPTOMUS = Followed(
    venue="cryptomus",
    source="cm",
    topics=("trade:BTC_USDT", "depth:BTC_USDT:0", "deal:all", "order:all", "balance:all"),
    channel_of=cryptomus_channel,
    template="""\
[sources.$name]
venue    = "cryptomus"
rest_url = "http://$here"
ws_url   = "ws://$here/ws"
user_id  = "$${CM_USER_ID}"
api_key  = "$${CM_API_KEY}"
channels = [$topics]

[sources.$name.ws]
silence_s = 1.5
refused_retry_s = 1.0
$socket

[sources.$name.rest]
requests_per_s = 100
open_orders_patience_s = 3.0
$lists

[sources.$name.follow]
$follow
""",
    secrets={"CM_USER_ID": cryptomus.USER_ID, "CM_API_KEY": cryptomus.API_KEY},
    # Here nobody can tell a print, a level or a balance that is told twice from two that are equal.
    faults=replace(HEAVY, only=("deal", "order")),
    options=("requests_per_s=0",),
    partly_listed={"deal": None},
)
POLONIEX_V1 = Followed(
    venue="poloniex_v1",
    source="po",
    topics=(
        "/contractMarket/level2:BTCUSDTPERP",
        "/contractMarket/execution:BTCUSDTPERP",
        "/contractMarket/ticker:BTCUSDTPERP",
        "/contractMarket/tradeOrders",
        "/contract/position:BTCUSDTPERP",
        "/contractAccount/wallet",
    ),
    channel_of=poloniex_v1_channel,
    template="""\
[sources.$name]
venue      = "poloniex_v1"
rest_url   = "http://$here"
api_key    = "$${PO_API_KEY}"
api_secret = "$${PO_API_SECRET}"
passphrase = "$${PO_PASSPHRASE}"
currencies = ["XBT", "USDT"]
channels   = [$topics]

[sources.$name.ws]
pong_timeout_s = 1.0
unauthorized_retry_s = 1.0
$socket

[sources.$name.rest]
requests_per_s = 100
$lists

[sources.$name.limits]
connects_per_min = 600
frames_per_10s   = 1000

[sources.$name.follow]
$follow
""",
    secrets={
        "PO_API_KEY": poloniex_v1.API_KEY,
        "PO_API_SECRET": poloniex_v1.API_SECRET,
        "PO_PASSPHRASE": poloniex_v1.PASSPHRASE,
    },
    options=("connects_per_min=600",),
    partly_listed={"tradeOrders": ":match:"},
)
POLONIEX_V3 = Followed(
    venue="poloniex_v3",
    source="p3",
    topics=(
        "trades:BTC_USDT_PERP",
        "book_lv2:BTC_USDT_PERP",
        "trade",
        "orders",
        "positions",
        "account",
    ),
    channel_of=poloniex_v3_channel,
    template="""\
[sources.$name]
venue          = "poloniex_v3"
ws_url         = "ws://$here/ws/v3/public"
private_ws_url = "ws://$here/ws/v3/private"
rest_url       = "http://$here"
api_key        = "$${P3_API_KEY}"
api_secret     = "$${P3_API_SECRET}"
channels       = [$topics]

[sources.$name.ws]
silence_s   = 1.5
dials_per_s = 20.0
authenticate_timeout_s = 1.0
key_refused_retry_s = 1.0
$socket

[sources.$name.rest]
public_per_s  = 100
private_per_s = 100
$lists

[sources.$name.follow]
$follow
""",
    secrets={"P3_API_KEY": poloniex_v3.API_KEY, "P3_API_SECRET": poloniex_v3.API_SECRET},
)
FOLLOWED: Mapping[str, Followed] = {one.venue: one for one in (BYBIT, CRYPTOMUS, POLONIEX_V1, POLONIEX_V3)}


def ended(faults: Faults) -> dict[str, object]:
    """The orders that end ``faults``, all but what stands."""
    calm = asdict(Faults())
    return {
        name: calm[name] for name, value in asdict(faults).items() if name not in STANDING and value != calm[name]
    }
