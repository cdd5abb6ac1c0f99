"""Putting the parts together: the only place that knows everyone."""

from bridge.app.memory import spare_collector
from bridge.app.process import Role, serve

__all__ = ["Role", "serve", "spare_collector"]
