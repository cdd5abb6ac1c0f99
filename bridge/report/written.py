"""A report as it is written: JSON with a line for each stream and each destination, in a file beyond some size.

Nobody holds the whole of it: it is written and hashed as it is made, and read line by line.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Self
from weakref import finalize

import msgspec

from bridge.report.shape import DestinationReport, Report, StreamReport

IN_MEMORY_BYTES_MAX = 4 << 20
CHUNK_BYTES = 256 << 10
_STREAMS, _DESTINATIONS = b'"streams":[', b'"destinations":['
_UNSEALED = b'"digest":""}'
_STREAM = msgspec.json.Decoder(StreamReport)
_DESTINATION = msgspec.json.Decoder(DestinationReport)


class Written:
    """A report that can be read again and again, one reading at a time. Its file is gone with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        finalize(self, file.close)
        self.size = file.seek(0, 2)
        file.seek(0)
        # One that was kept before reports had lines is a single line, and is read as a whole.
        frame = b"".join(line for nth, line in enumerate(file) if nth == 0 or line.startswith(b"]"))
        self._frame = msgspec.json.decode(frame, type=Report)

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """The report that is kept as these bytes, whichever way they are cut."""
        file = _file()
        for piece in pieces:
            file.write(piece)
        return cls(file)

    @property
    def since(self) -> datetime:
        return self._frame.since

    @property
    def until(self) -> datetime:
        return self._frame.until

    @property
    def digest(self) -> str:
        return self._frame.digest

    def chunks(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        self._file.seek(0)
        while piece := self._file.read(CHUNK_BYTES):
            yield piece

    def streams(self) -> Iterator[StreamReport]:
        """By name."""
        yield from self._frame.streams
        yield from map(_STREAM.decode, self._lines(_STREAMS))

    def destinations(self) -> Iterator[DestinationReport]:
        """By name."""
        yield from self._frame.destinations
        yield from map(_DESTINATION.decode, self._lines(_DESTINATIONS))

    def _lines(self, opening: bytes) -> Iterator[bytes]:
        self._file.seek(0)
        inside = False
        for line in self._file:
            if line.endswith(b"[\n"):
                inside = line.endswith(opening + b"\n")
            elif line.startswith(b"]"):
                return
            elif inside:
                yield line.rstrip(b",\n")


class Writing:
    """Takes a report's streams, then its destinations, each in their order, and seals it."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._file = _file()
        self._hash = hashlib.sha256()
        self._encoder = msgspec.json.Encoder()
        frame = self._encoder.encode(Report(since=since, until=until))
        before, _, rest = frame.partition(_STREAMS)
        between, _, self._after = rest.partition(_DESTINATIONS)
        self._between = b"\n" + between + _DESTINATIONS
        self._write(before + _STREAMS)
        self._comma = b"\n"

    def stream(self, stream: StreamReport) -> None:
        self._item(stream)

    def destination(self, destination: DestinationReport) -> None:
        if self._between:
            self._write(self._between)
            self._between, self._comma = b"", b"\n"
        self._item(destination)

    def sealed(self) -> Written:
        """The report with its own digest, which is SHA-256 over all of it but the digest itself."""
        rest = self._between + b"\n" + self._after
        assert rest.endswith(_UNSEALED), "the digest comes last, so that one pass is enough"
        self._hash.update(rest)
        self._file.write(rest.removesuffix(_UNSEALED) + b'"digest":"%b"}' % self._hash.hexdigest().encode())
        return Written(self._file)

    def _item(self, item: StreamReport | DestinationReport) -> None:
        self._write(self._comma + self._encoder.encode(item))
        self._comma = b",\n"

    def _write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._file.write(piece)


def _file() -> IO[bytes]:
    return SpooledTemporaryFile(max_size=IN_MEMORY_BYTES_MAX)
