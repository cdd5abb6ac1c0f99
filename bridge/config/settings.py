"""The one value that says everything the bridge is told."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from bridge.config.playbatman import PlayBatman
from bridge.config.shapes import Destination, Limits, Secret, Shape, Text

Source = PlayBatman
"""One configured source; a further venue joins this union with a class of its own."""

VENUES: Mapping[str, type[Source]] = MappingProxyType({"playbatman": PlayBatman})

Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(Shape):
    """Everything the bridge is told, checked. ``database_url`` None means embedded, under ``data``."""

    database_url: SecretStr | None = None
    host: Text = "127.0.0.1"
    port: Port = 8000
    api_token: Secret | None = None
    data: Path = Path(".bridge")
    pg_bin: Path | None = None
    limits: Limits = Limits()
    sources: Annotated[Mapping[str, Source], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )
    destinations: Annotated[Mapping[str, Destination], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )


ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HOST": "host",
        "PORT": "port",
        "BRIDGE_API_TOKEN": "api_token",
        "BRIDGE_DATA": "data",
        "BRIDGE_PG_BIN": "pg_bin",
    }
)
"""Which variable fills which setting; DATABASE_URL and BRIDGE_CONFIG are read on their own."""
