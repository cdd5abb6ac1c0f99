"""Gaps to plan to replay to the door: what keeps every stream's frontier moving."""

from bridge.reconcile.limits import ReplayLimits
from bridge.reconcile.reconciler import Reconciler

__all__ = ["Reconciler", "ReplayLimits"]
