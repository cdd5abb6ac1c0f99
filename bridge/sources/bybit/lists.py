"""The venue's lists, asked page by page behind an opaque cursor, within limits."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.core.errors import VenueError
from bridge.sources.bybit.values import UNREADABLE
from bridge.sources.rest import Rest

CURSOR_CHARS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Listing:
    """One page. ``cursor`` is "" on the last one."""

    rows: tuple[bytes, ...]
    cursor: str
    venue_now: datetime | None


class _Result(msgspec.Struct, rename={"rows": "list", "cursor": "nextPageCursor"}):
    rows: list[msgspec.Raw] = []
    cursor: str = ""


class _Listed(msgspec.Struct):
    result: _Result


class _Single(msgspec.Struct):
    result: msgspec.Raw


_decode_list = msgspec.json.Decoder(_Listed).decode
_decode_single = msgspec.json.Decoder(_Single).decode


class Lists:
    """Asks over ``rest``, whose verdict has judged what arrives here. ``pages_max`` bounds one reading."""

    def __init__(self, rest: Rest, *, pages_max: int) -> None:
        self._rest = rest
        self._pages_max = pages_max

    async def page(self, path: str, params: Mapping[str, str | int]) -> Listing:
        """One page. Raises KeyRefused, VenueError."""
        answer = await self._rest.get(path, params)
        try:
            result = _decode_list(answer.body).result
        except UNREADABLE:
            raise VenueError("a list of the venue's cannot be read") from None
        if len(result.cursor) > CURSOR_CHARS_MAX:
            raise VenueError("a cursor of the venue's is too long")
        return Listing(tuple(bytes(row) for row in result.rows), result.cursor, answer.venue_now)

    async def pages(self, path: str, params: Mapping[str, str | int]) -> AsyncGenerator[Listing, None]:
        """All pages: up to the one without a cursor, or an empty one, which is what some lists end with.

        A short page is no end. Raises VenueError, too, for a cursor that comes again and for more pages than allowed.
        """
        seen: set[str] = set()
        cursor = ""
        for _ in range(self._pages_max):
            listing = await self.page(path, {**params, "cursor": cursor} if cursor else params)
            yield listing
            cursor = listing.cursor
            if not cursor or not listing.rows:
                return
            if cursor in seen:
                raise VenueError("a cursor of the venue's comes again")
            seen.add(cursor)
        raise VenueError(f"a list of the venue's has more than {self._pages_max} pages")

    async def single(self, path: str, params: Mapping[str, str | int]) -> tuple[bytes, datetime | None]:
        """An answer that is one thing, and the venue's time. Raises KeyRefused, VenueError."""
        answer = await self._rest.get(path, params)
        try:
            return bytes(_decode_single(answer.body).result), answer.venue_now
        except UNREADABLE:
            raise VenueError("an answer of the venue's cannot be read") from None

    async def time(self) -> None:
        """Ask a public route whose answer tells the venue's time. Raises VenueError."""
        await self._rest.get("/v5/market/time", {}, urgent=True)
