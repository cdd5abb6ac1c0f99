"""The door: all events pass one function, whatever way they came."""

from bridge.ingest.door import Door
from bridge.ingest.submission import Answer, Base, Finding, NewEpoch, Receipt, StreamSpec
from bridge.ingest.transaction import Committed

__all__ = ["Answer", "Base", "Committed", "Door", "Finding", "NewEpoch", "Receipt", "StreamSpec"]
