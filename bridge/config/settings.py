"""The one value that says everything the bridge is told."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from bridge.config.alerts import Alerts
from bridge.config.bybit import Bybit
from bridge.config.cryptomus import Cryptomus
from bridge.config.playbatman import PlayBatman
from bridge.config.poloniex_v1 import PoloniexV1
from bridge.config.poloniex_v3 import PoloniexV3
from bridge.config.shapes import Destination, Limits, Reports, Retention, SealingKeys, Secret, Shape, Text, Traces

Followed = Bybit | Cryptomus | PoloniexV1 | PoloniexV3
"""A source whose events the bridge numbers."""

Source = PlayBatman | Followed
"""One configured source; a further venue joins these unions with a class of its own."""

VENUES: Mapping[str, type[Source]] = MappingProxyType(
    {
        "playbatman": PlayBatman,
        "bybit": Bybit,
        "cryptomus": Cryptomus,
        "poloniex_v1": PoloniexV1,
        "poloniex_v3": PoloniexV3,
    }
)

Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(Shape):
    """Everything the bridge is told, checked. ``database_url`` None means embedded, under ``data``."""

    database_url: SecretStr | None = None
    host: Text = "127.0.0.1"
    port: Port = 8000
    api_token: Secret | None = None
    secret_key: SealingKeys = ()
    data: Path = Path(".bridge")
    pg_bin: Path | None = None
    limits: Limits = Limits()
    retention: Retention = Retention()
    reports: Reports = Reports()
    alerts: Alerts = Field(default_factory=Alerts)
    traces: Traces = Traces()
    sources: Annotated[Mapping[str, Source], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )
    destinations: Annotated[Mapping[str, Destination], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )

    @property
    def numbered(self) -> Mapping[str, PlayBatman]:
        """The sources whose venue numbers its events."""
        return {name: source for name, source in self.sources.items() if isinstance(source, PlayBatman)}

    @property
    def held(self) -> Mapping[str, bool]:
        """Each source, and whether a worker holds it: one that has nothing but webhooks needs none."""
        return dict.fromkeys(self.numbered, True) | {name: bool(one.channels) for name, one in self.followed.items()}

    @property
    def listened(self) -> frozenset[str]:
        """The sources that have a socket."""
        numbered = (name for name, one in self.numbered.items() if one.ws_url is not None)
        return frozenset(numbered) | {name for name, one in self.followed.items() if one.channels}

    @property
    def followed(self) -> Mapping[str, Followed]:
        """The sources whose events the bridge numbers."""
        return {name: source for name, source in self.sources.items() if not isinstance(source, PlayBatman)}


ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HOST": "host",
        "PORT": "port",
        "BRIDGE_API_TOKEN": "api_token",
        "BRIDGE_SECRET_KEY": "secret_key",
        "BRIDGE_DATA": "data",
        "BRIDGE_PG_BIN": "pg_bin",
    }
)
"""Which variable fills which setting; DATABASE_URL and BRIDGE_CONFIG are read on their own."""
