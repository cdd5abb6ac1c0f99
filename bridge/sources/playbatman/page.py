"""One answer of the event replay, taken apart. Pure: strict at the top, and row by row below it."""

from collections.abc import Iterable
from datetime import datetime
from types import GenericAlias
from typing import Any

import msgspec

from bridge.core.errors import VenueError
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed, Page
from bridge.sources.playbatman import salvage
from bridge.sources.playbatman.envelope import ROW_NAMES, UNREADABLE, EnvelopeReader, Fields
from bridge.sources.playbatman.fields import sequence_of, text_of, time_of

_CODE_CHARS_MAX = 64


class PageReader:
    """Reads answers of the replay. ``more_fields``: the members beside ``events`` that may say if there is more."""

    def __init__(self, more_fields: tuple[str, ...] = ("hasMore",)) -> None:
        self._reader = EnvelopeReader(ROW_NAMES)
        self._more_fields = more_fields
        self._decode = _answers_of(self._reader.struct, more_fields)

    def page(self, body: bytes, venue_now: datetime | None) -> Page:
        """The rows in ``body``. Raises VenueError when it is no answer of the replay."""
        try:
            answer = self._decode(body)
        except UNREADABLE:
            return self._salvaged(body, venue_now)
        if answer.success is not True or answer.data is None or answer.data.events is None:
            raise VenueError(_refusal(answer.error))
        rows = answer.data.events
        events: list[Event] = []
        for row in rows:
            try:
                events.append(_event(self._reader.fields(row)))
            except Malformed:
                continue
        return _page(events, len(rows), msgspec.structs.astuple(answer.data)[1:], venue_now)

    def _salvaged(self, body: bytes, venue_now: datetime | None) -> Page:
        """The same, for an answer of which at least one row cannot be read."""
        try:
            answer = salvage.members(body)
            outer = salvage.members(answer.get("data", b""))
            listed = outer.get("events", b"")
            if answer.get("success") != b"true" or not listed.startswith(b"["):
                raise Malformed("no answer of the replay")
            rows = salvage.items(listed)
        except Malformed:
            raise VenueError("the venue's answer is no page of events") from None
        events: list[Event] = []
        for row in rows:
            try:
                events.append(_event(self._reader.read(row)))
            except Malformed:
                continue
        words = {b"true": True, b"false": False}
        more = [words.get(outer.get(name, b"")) for name in self._more_fields]
        return _page(events, len(rows), more, venue_now)


def _page(events: list[Event], rows: int, more: Iterable[object], venue_now: datetime | None) -> Page:
    return Page(
        events=tuple(events),
        rows=rows,
        malformed=rows - len(events),
        more=next((word for word in more if isinstance(word, bool)), None),
        venue_now=venue_now,
    )


def _event(fields: Fields) -> Event:
    """The event of one row. Raises Malformed."""
    sequence = sequence_of(fields.sequence)
    payload = fields.payload
    if sequence is None:
        raise Malformed("a row without a sequence")
    if payload is None:
        raise Malformed("a row without a payload")
    return Event(
        text_of(fields.id, "the id"),
        text_of(fields.type, "the type"),
        text_of(fields.key, "the market"),
        payload,
        digest_of(payload),
        sequence,
        time_of(fields.created),
    )


def refusal_code(body: bytes) -> str:
    """The code in an error envelope, reduced to what is safe to show; "" where there is none."""
    try:
        return _code_of(msgspec.json.decode(body, type=_ErrorAnswer).error)
    except UNREADABLE:
        return ""


class _ErrorAnswer(msgspec.Struct):
    error: Any = None


def _code_of(error: Any) -> str:
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, str):
        return ""
    return "".join(sign for sign in code[:_CODE_CHARS_MAX] if sign.isascii() and (sign.isalnum() or sign in "_-."))


def _refusal(error: Any) -> str:
    code = _code_of(error)
    return f"the venue refused: {code}" if code else "the venue's answer is no page of events"


def _answers_of(row: type[Any], more_fields: tuple[str, ...]) -> Any:
    """The decoder of whole answers whose rows are ``row``."""
    rows = GenericAlias(list, (row,)) | None
    columns: list[tuple[str, Any, Any]] = [("events", rows, None)]
    columns += [(f"more{at}", Any, None) for at in range(len(more_fields))]
    rename = {f"more{at}": name for at, name in enumerate(more_fields)}
    listing = msgspec.defstruct("Listing", columns, rename=rename)
    answer = msgspec.defstruct(
        "Answer", [("success", Any, None), ("data", listing | None, None), ("error", Any, None)]
    )
    return msgspec.json.Decoder(answer).decode
