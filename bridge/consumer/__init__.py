"""The receiving side, for whoever takes what a bridge sends: is it ours, is it whole, is it new, is it next.

It needs no server, no database and no other part of the bridge. ``open_request`` reads a POST, ``read_page`` what was
pulled; ``Place`` is what to keep beside whatever is made of the entries, in the same transaction.
"""

from bridge.consumer.faults import Altered, NotOurs, NotTaken, Skipped, TooOld, Unreadable
from bridge.consumer.place import Place
from bridge.consumer.reading import Entries, Entry, Notice, Page, open_request, read_entry, read_page
from bridge.core.event import Kind

__all__ = [
    "Altered",
    "Entries",
    "Entry",
    "Kind",
    "NotOurs",
    "NotTaken",
    "Notice",
    "Page",
    "Place",
    "Skipped",
    "TooOld",
    "Unreadable",
    "open_request",
    "read_entry",
    "read_page",
]
