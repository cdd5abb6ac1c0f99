"""Ordered delivery of the log to destinations: claim, post, decide, settle."""

from bridge.deliver.deliverer import Deliverer
from bridge.deliver.limits import DeliveryLimits

__all__ = ["Deliverer", "DeliveryLimits"]
