"""What the bridge is told: one frozen value, built once from a mapping and a file."""

from bridge.config.database import database_url

__all__ = ["database_url"]
