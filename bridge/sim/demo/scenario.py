"""What a demo is: how long, how fast, by which seed, with which faults; and the configuration that follows."""

import base64
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.sim.demo.followed import FOLLOWED, Followed
from bridge.sim.playbatman import MARKETS

PLAYBATMAN = "playbatman"
VENUES = (PLAYBATMAN, *FOLLOWED)
SOURCE = "pb"
NUMBERED = f"{SOURCE}.events"
SOCKETED = f"{SOURCE}.ws"
DESTINATION = "ledger"
# What a user has set for a bridge of their own must not reach the demo's.
NOT_INHERITED = ("DATABASE_URL", "HOST", "PORT", "PB_", "LEDGER_", "BRIDGE_")
INHERITED = ("BRIDGE_PG_BIN",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Rates and shares are from 0 to 1; ``away`` is when the consumer answers nothing but 503.

    ``calm_s`` is how long things go on happening after the faults have ended: a loss shows by what comes next.
    """

    venues: tuple[str, ...] = (PLAYBATMAN,)
    seconds: float = 20.0
    seed: int = 7
    events_per_s: float = 40.0
    faults: str = "heavy"
    fail_rate: float = 0.03
    away_after_share: float = 0.45
    away_share: float = 0.1
    calm_s: float = 2.0

    @property
    def numbered(self) -> bool:
        """Whether the venue that numbers its events takes part."""
        return PLAYBATMAN in self.venues

    @property
    def followed(self) -> tuple[Followed, ...]:
        """The venues without numbers that take part."""
        return tuple(one for name, one in FOLLOWED.items() if name in self.venues)

    @property
    def heavy(self) -> bool:
        return self.faults == "heavy"

    @property
    def away_at_s(self) -> float:
        """When, in seconds of traffic, the consumer is told to be away."""
        return self.seconds * self.away_after_share

    @property
    def away_s(self) -> float:
        return min(3.0, self.seconds * self.away_share)


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one demo, made for it alone."""

    api_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    ledger_secret: str = field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), repr=False
    )

    def environ(self) -> dict[str, str]:
        return {
            "PB_API_KEY": self.api_key,
            "PB_WEBHOOK_SECRET": self.webhook_secret,
            "LEDGER_SECRET": self.ledger_secret,
        }


def child_environ(environ: Mapping[str, str], keys: Keys, *, folder: Path, port: int) -> dict[str, str]:
    """The environment of the demo's parts: the user's, less what means a bridge of theirs."""
    kept = {name: value for name, value in environ.items() if name in INHERITED or not name.startswith(NOT_INHERITED)}
    ours = {
        "BRIDGE_CONFIG": str(folder / "bridge.toml"),
        "BRIDGE_DATA": str(folder / "bridge"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    secrets_of_venues = {name: value for one in FOLLOWED.values() for name, value in one.secrets.items()}
    return {**kept, **secrets_of_venues, **keys.environ(), **ours}


def venue_arguments(scenario: Scenario, *, bridge_port: int) -> list[str]:
    """``bridge sim playbatman`` that emits nothing until it is told to."""
    return [
        *("sim", "playbatman", "--port", "0", "--seed", str(scenario.seed), "--faults", scenario.faults),
        *("--events-per-s", "0", "--webhook-url", f"http://127.0.0.1:{bridge_port}/in/{SOURCE}"),
        # The same value with other spacing is the same event, but has another digest: the verdict compares bytes.
        *("--fault", "webhook_spaced_rate=0"),
    ]


def market_arguments(scenario: Scenario, followed: Followed) -> list[str]:
    """``bridge sim VENUE`` where nothing happens until it is told to; its clock is wrong from the start."""
    options = [word for option in followed.options for word in ("--set", option)]
    skew_s = followed.faults.skew_s if scenario.heavy else 0.0
    return [
        *("sim", followed.venue, "--port", "0", "--seed", str(scenario.seed), "--events-per-s", "0"),
        *("--fault", f"skew_s={skew_s}", *options),
    ]


def consumer_arguments(scenario: Scenario, *, folder: Path) -> list[str]:
    return [
        *("consume", "--port", "0", "--seed", str(scenario.seed), "--fail-rate", str(scenario.fail_rate)),
        *("--keep", str(folder / "received.jsonl")),
    ]


def bridge_toml(*, ports: Mapping[str, int], consumer_port: int) -> str:
    """The bridge's configuration: what a user would write, with the waits cut short so that a demo is not long.

    ``ports`` are those of the venues that take part.
    """
    tables = [numbered_toml(ports[PLAYBATMAN])] if PLAYBATMAN in ports else []
    tables += [one.toml(ports[name]) for name, one in FOLLOWED.items() if name in ports]
    streams = [f"{SOURCE}.*"] if PLAYBATMAN in ports else []
    streams += [f"{one.source}.*" for name, one in FOLLOWED.items() if name in ports]
    return "\n".join([*tables, destination_toml(streams, consumer_port)])


def numbered_toml(port: int) -> str:
    markets = ", ".join(f'"{market}"' for market in MARKETS)
    return f"""\
[sources.{SOURCE}]
venue    = "playbatman"
rest_url = "http://127.0.0.1:{port}"
ws_url   = "ws://127.0.0.1:{port}/ws"
api_key  = "${{PB_API_KEY}}"
markets  = [{markets}]

[sources.{SOURCE}.webhook]
secret = "${{PB_WEBHOOK_SECRET}}"

[sources.{SOURCE}.ws]
ping_interval_s = 0.8
silence_s       = 2.0
acknowledge_timeout_s = 1.0
backoff_first_s = 0.2
backoff_max_s   = 2.0

[sources.{SOURCE}.replay]
every_s         = 1.0
settle_s        = 2.0
audit_every_s   = 30.0
requests_per_s  = 20
timeout_s       = 3.0
backoff_first_s = 0.2
backoff_max_s   = 2.0
"""


def destination_toml(streams: Sequence[str], port: int) -> str:
    taken = ", ".join(f'"{stream}"' for stream in streams)
    return f"""\
[destinations.{DESTINATION}]
url           = "http://127.0.0.1:{port}/events"
secret        = "${{LEDGER_SECRET}}"
streams       = [{taken}]
allow_private = true
timeout_s     = 3
retry_first_s = 0.1
retry_max_s   = 1

[bridge]
drain_s = 5
"""


def free_port() -> int:
    """A loopback port that was free a moment ago: the venue must know where to send before the bridge is there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
