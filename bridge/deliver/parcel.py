"""What goes out in one POST: which entries of a slice, and how they are written."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bridge.core import envelope
from bridge.core.destination import DestinationPolicy, Exhausted
from bridge.core.event import LogEntry


class Parcel(NamedTuple):
    """The entries of one POST, none where nothing up to ``until`` is wanted.

    Once they are accepted everything up to position ``until`` is dealt with.
    """

    entries: tuple[LogEntry, ...]
    until: int


def parcels(slice_: Sequence[LogEntry], wants: Callable[[LogEntry], bool], size: int) -> Iterator[Parcel]:
    """``slice_`` in parcels of up to ``size`` wanted entries, in order."""
    wanted: list[LogEntry] = []
    for entry in slice_:
        if not wants(entry):
            continue
        if len(wanted) == size:
            yield Parcel(tuple(wanted), wanted[-1].position)
            wanted = []
        wanted.append(entry)
    if slice_:
        yield Parcel(tuple(wanted), slice_[-1].position)


def size_of(policy: DestinationPolicy, failures: int) -> int:
    """How many entries go into the next POST: half as many after each failure, so that one that is not taken
    stands alone in the end and keeps nothing before it back. Who may be parked stands alone in time."""
    if policy.on_exhausted is Exhausted.PARK and failures + 1 >= policy.attempts_max:
        return 1
    return max(1, policy.batch_max >> min(failures, 32))


def body(parcel: Parcel, previous: Sequence[int], *, batched: bool) -> bytes:
    """The content of the POST. ``previous`` are the positions that the destination was sent before each entry."""
    if not batched:
        return envelope.body(parcel.entries[0], previous=previous[0])
    bodies = [envelope.body(entry, previous=at) for entry, at in zip(parcel.entries, previous, strict=True)]
    return envelope.batch(bodies, parcel.entries)


def in_a_row(parcel: Parcel, sent: int) -> list[int]:
    """What each entry's ``previous`` is where all go out one after the other, the first after ``sent``."""
    return [sent, *(entry.position for entry in parcel.entries[:-1])]


def headers(
    parcel: Parcel, content: bytes, policy: DestinationPolicy, *, timestamp_s: int, attempt: int
) -> dict[str, str]:
    """The headers beside ``content``. ``attempt`` starts at 1."""
    if policy.batch_max > 1:
        return envelope.batch_headers(
            parcel.entries, content, keys=policy.secrets, timestamp_s=timestamp_s, attempt=attempt
        )
    return envelope.headers(parcel.entries[0], content, keys=policy.secrets, timestamp_s=timestamp_s, attempt=attempt)
