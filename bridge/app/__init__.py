"""Putting the parts together: the only place that knows everyone."""

from bridge.app.process import Role, serve

__all__ = ["Role", "serve"]
