"""The envelope of an event: which names its fields may have, and how it is read without touching the payload.

The replay's rows and the webhooks' bodies are both such envelopes; only the names differ.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from bridge.sources.playbatman import salvage
from bridge.sources.playbatman.fields import payload_of

_IN_PAYLOAD = "payload."
_FIXED = ("marketId", "createdAt")
_NO_PAYLOAD = msgspec.Raw()
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the fast decoder raises for JSON it does not read."""


@dataclass(frozen=True, slots=True)
class EnvelopeNames:
    """The names a field may have, the preferred first. ``payload.x`` in ``sequence`` is ``x`` inside the payload."""

    type: tuple[str, ...] = ("eventType", "event", "type")
    payload: tuple[str, ...] = ("payload", "data")
    id: tuple[str, ...] = ("id", "eventId")
    sequence: tuple[str, ...] = ("sequence", "payload.sequence")


ROW_NAMES = EnvelopeNames(type=("eventType",), payload=("payload",), id=("id",), sequence=("sequence",))
"""The replay's rows have one form only."""


class Fields(NamedTuple):
    """The raw fields of one envelope, None where absent. ``payload`` is checked and owned, the rest is not."""

    id: Any
    type: Any
    sequence: Any
    key: Any
    created: Any
    payload: bytes | None


class Inner(NamedTuple):
    """What a payload may say for its envelope."""

    sequence: Any = None
    key: Any = None
    timestamp: Any = None


_NOTHING = Inner()


class EnvelopeReader:
    """Reads envelopes of one set of names; its decoders are built once."""

    def __init__(self, names: EnvelopeNames) -> None:
        outer = tuple(name for name in names.sequence if not name.startswith(_IN_PAYLOAD))
        inner = tuple(name.removeprefix(_IN_PAYLOAD) for name in names.sequence if name not in outer)
        self._plain = (*names.id, *names.type, *outer)
        self._payloads = names.payload
        self._slices = _slices(names.id, names.type, outer, names.payload)
        self.struct = _struct("Envelope", (*self._plain, *self._payloads, *_FIXED), raw=self._payloads)
        self._decode = msgspec.json.Decoder(self.struct).decode
        self._decode_inner = msgspec.json.Decoder(
            _struct("Payload", (*inner, "marketId", "timestamp"), raw=())
        ).decode

    def read(self, text: bytes) -> Fields:
        """The fields of one envelope. Raises Malformed when ``text`` is no JSON object in UTF-8."""
        try:
            return self.fields(self._decode(text))
        except UNREADABLE:
            return self.fields(self._salvage(text))

    def fields(self, decoded: Any) -> Fields:
        """The fields of an envelope that is decoded already."""
        values = msgspec.structs.astuple(decoded)
        ids, types, sequences, payloads = self._slices
        return Fields(
            _first(values[ids]),
            _first(values[types]),
            _first(values[sequences]),
            values[-2],
            values[-1],
            _payload(values[payloads]),
        )

    def inner(self, payload: bytes) -> Inner:
        """What the payload says for its envelope; nothing where it is no object."""
        try:
            *sequences, key, timestamp = msgspec.structs.astuple(self._decode_inner(payload))
        except UNREADABLE:
            return _NOTHING
        return Inner(_first(sequences), key, timestamp)

    def _salvage(self, text: bytes) -> Any:
        salvage.value_of(text)
        found = salvage.members(text)
        plain = [salvage.value_of(found[name]) if name in found else None for name in self._plain]
        payloads = [msgspec.Raw(found[name]) if name in found else _NO_PAYLOAD for name in self._payloads]
        fixed = [salvage.value_of(found[name]) if name in found else None for name in _FIXED]
        return self.struct(*plain, *payloads, *fixed)


def _slices(*groups: tuple[str, ...]) -> tuple[slice, ...]:
    """Where each group stands when all of them are put in a row."""
    ends = list(accumulate(len(group) for group in groups))
    return tuple(slice(end - len(group), end) for group, end in zip(groups, ends, strict=True))


def _struct(name: str, names: tuple[str, ...], *, raw: tuple[str, ...]) -> type[Any]:
    """A struct with one optional field for every name, in order; those in ``raw`` stay bytes."""
    if len(set(names)) != len(names):
        raise ValueError("a field's name stands twice among the names of an envelope")
    columns: list[tuple[str, Any, Any]] = [
        (f"f{at}", msgspec.Raw, _NO_PAYLOAD) if alias in raw else (f"f{at}", Any, None)
        for at, alias in enumerate(names)
    ]
    return msgspec.defstruct(name, columns, rename={f"f{at}": alias for at, alias in enumerate(names)})


def _first(values: Iterable[Any]) -> Any:
    for value in values:
        if value is not None:
            return value
    return None


def _payload(raws: Iterable[Any]) -> bytes | None:
    for raw in raws:
        payload = bytes(raw)  # a copy: the raw value is a view that would keep the whole page alive
        if payload and payload != b"null":
            return payload_of(payload)
    return None
