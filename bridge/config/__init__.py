"""What the bridge is told: one frozen value, built once from a mapping and a file."""

from bridge.config.database import database_url
from bridge.config.load import load_settings
from bridge.config.playbatman import PlayBatman
from bridge.config.settings import Settings, Source
from bridge.config.shapes import Destination, Limits

__all__ = ["Destination", "Limits", "PlayBatman", "Settings", "Source", "database_url", "load_settings"]
