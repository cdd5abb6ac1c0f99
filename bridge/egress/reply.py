"""One answer, read piece by piece as it comes. No network here.

Of an answer only the status, ``Retry-After`` and the beginning of the body are kept. All of it is bounded: a head
or body beyond its limit is read to the limit and what one read brings over it, and costs the connection.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD_BYTES_MAX = 64 * 1024
RESPONSE_BYTES_MAX = 64 * 1024
EXCERPT_BYTES_MAX = 512

_OK = 200
_SWITCHING = 101


class Unreadable(Exception):
    """What came is no answer, or none that ends."""


class Reply:
    """What was heard so far. ``status`` is 0 until the head is whole; interim answers (1xx) are passed over."""

    __slots__ = ("_body_bytes", "_excerpt", "_has_end", "_parser", "bytes", "is_whole", "keeps_alive", "retry_after",
                 "status")  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.retry_after: str | None = None
        self.is_whole = False
        self.keeps_alive = False
        self.bytes = 0
        self._has_end = False
        self._body_bytes = 0
        self._excerpt = b""
        self._parser = HttpResponseParser(self)
        # What a careless server may send and people would still call HTTP; the connection is its own alone.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    @property
    def excerpt(self) -> str:
        """The beginning of the body, in printable characters."""
        if not self._excerpt:
            return ""
        text = self._excerpt.decode("utf-8", "replace")
        return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())

    def feed(self, data: bytes) -> None:
        """Read on. Once ``is_whole``, there is nothing more to feed.

        Raises:
            Unreadable: this will never be an answer.
        """
        self.bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.is_whole:
                raise Unreadable from error
            self.keeps_alive = False
        if not self.is_whole:
            self._bound()
        if self.is_whole:
            # The parser refers back to this: without it, the two are gone with the last reference to the answer.
            del self._parser

    def end(self) -> None:
        """The connection ended, which is the end of an answer that names no other."""
        if self.status and not self._has_end:
            self.is_whole = True

    def _bound(self) -> None:
        if not self.status:
            if self.bytes > HEAD_BYTES_MAX:
                raise Unreadable
        elif self._body_bytes >= RESPONSE_BYTES_MAX or self.bytes > HEAD_BYTES_MAX + RESPONSE_BYTES_MAX:
            self.is_whole = True
            self.keeps_alive = False

    def on_message_begin(self) -> None:
        if self.is_whole:
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return
        match name.lower():
            case b"content-length":
                self._has_end = True
            case b"transfer-encoding":
                self._has_end = b"chunked" in value.lower()
            case b"retry-after":
                self.retry_after = value.decode("latin-1")
            case _:
                pass

    def on_headers_complete(self) -> None:
        if self.status:
            return
        status = self._parser.get_status_code()
        if status >= _OK or status == _SWITCHING:
            self.status = status
            self.keeps_alive = status != _SWITCHING and self._parser.should_keep_alive()
        else:
            self._has_end, self.retry_after = False, None

    def on_body(self, body: bytes) -> None:
        if self.is_whole:
            return
        self._body_bytes += len(body)
        if len(self._excerpt) < EXCERPT_BYTES_MAX:
            self._excerpt = (self._excerpt + body)[:EXCERPT_BYTES_MAX]

    def on_message_complete(self) -> None:
        if self.status:
            self.is_whole = True
