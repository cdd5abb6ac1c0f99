"""A webhook bridge and event-replay reconciler: every event of a venue, once, in order, proven gap-free."""

__version__ = "0.1.0"
