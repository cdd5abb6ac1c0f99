"""``bridge compare``: what the log tells beside what a consumer holds, what the venue lists, or both."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import PROBLEM, Edge
from bridge.cli.upstream import reread, spool
from bridge.clock import SystemClock
from bridge.config import Settings
from bridge.core.errors import BridgeError
from bridge.core.event import SEQUENCE_MAX
from bridge.store import comparing, digests
from bridge.store.audits import Audit
from bridge.store.comparing import Compared, Difference, Held

COLUMNS = ("what", "epoch", "sequence", "position", "upstream", "bridge", "consumer", "theirs", "ours")
MEANINGS = {
    "lacking": "the consumer lacks",
    "extra": "the consumer has, and the log never told",
    "different": "the consumer has with other content",
    "deleted": "the consumer has, and the log does not reach so far back any more",
    "missed": "the bridge had missed, and has now from the venue",
    "untold": "the venue lists, and the log does not tell",
    "conflict": "the venue lists with other content",
    "unlisted": "the bridge has, and the venue does not list",
}
EPOCH_MAX = 2**31 - 1
DIGEST_BYTES = 32
LINE_BYTES_MAX = 4 * 1024 * 1024
LIMIT_DEFAULT = 100
LIMIT_MAX = 100_000


class _Row(msgspec.Struct):
    """A line of a file. A number may be text, as it is in CSV; a line without one is of something else."""

    sequence: int | None = None
    digest: str | None = None
    epoch: int = 1


FIELDS = frozenset(_Row.__struct_fields__)


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def compare(
        stream: Annotated[str, typer.Argument(help="The stream, such as pb.events.")],
        against: Annotated[
            Path | None,
            typer.Option(
                exists=True, dir_okay=False, help="What the consumer holds: .csv or .ndjson with sequence and digest."
            ),
        ] = None,
        with_upstream: Annotated[
            bool,
            typer.Option(
                "--upstream",
                help="Read again what the venue retains, with a quarter of replay.requests_per_s;"
                " what was missing is told as late.",
            ),
        ] = False,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Name at most so many.")] = LIMIT_DEFAULT,
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Name who lacks what: the venue, the bridge, the consumer. Exit code 1 if anything differs."""
        if against is None and not with_upstream:
            raise BridgeError("give --against, --upstream, or both")
        settings = edge.settings()
        ask = Ask(stream, against, settings if with_upstream else None, limit)
        compared, audit = with_database(settings, ask.answer)
        if as_json:
            named = [_fields(one) for one in compared.named]
            show.as_json({**compared._asdict(), "named": named, "audit": audit})
        else:
            _print(stream, compared, audit)
        if compared.named or compared.twice:
            raise typer.Exit(PROBLEM)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be compared: ``against`` a file, and with the venue where ``settings`` say how to ask it."""

    stream: str
    against: Path | None
    settings: Settings | None
    limit: int

    async def answer(self, engine: AsyncEngine) -> tuple[Compared, Audit | None]:
        """The differences, and the audit that brought the venue's side. Raises BridgeError."""
        with spool() as kept:
            audit, upstream = None, None
            if self.settings is not None:
                if self.against is not None and self.against.is_file():  # and no pipe, which is read only once
                    deque(held(self.against), maxlen=0)  # the venue is asked for long: what is wrong is told before
                audit, upstream = await reread(engine, self.settings, SystemClock(), self.stream, kept)
            async with engine.connect() as connection:
                found = await digests.bounds(connection, self.stream)
                if found is None:
                    raise BridgeError(f"there is no stream {show.plain(self.stream)}: see 'bridge status'")
                theirs = None if self.against is None else held(self.against)
                compared = await comparing.compare(
                    connection, stream_id=found.id, held=theirs, upstream=upstream, limit=self.limit
                )
        return compared, audit


def held(path: Path) -> Iterator[Held]:
    """What stands in the file, line by line. Raises BridgeError with the line that cannot be used."""
    rows = _csv if path.suffix.lower() == ".csv" else _ndjson
    with path.open("rb") as file:
        lines = _Lines(file)
        try:
            for row in rows(lines):
                if row.sequence is not None:
                    yield _held(row, row.sequence)
        except (msgspec.DecodeError, ValueError, csv.Error) as error:
            raise BridgeError(f"{path.name}, line {max(1, lines.number)}: {show.plain(error)}") from None


class _Lines:
    """The lines of a file as text; ``number`` is that of the newest one, whether it could be read or not."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(LINE_BYTES_MAX + 1):
            self.number += 1
            if len(line) > LINE_BYTES_MAX:
                raise ValueError(f"it is longer than {LINE_BYTES_MAX} bytes")
            yield line.decode("utf-8-sig" if self.number == 1 else "utf-8")


def _csv(lines: _Lines) -> Iterator[_Row]:
    # Strict: a quote that nobody closes would take all that follows for one field, and hide it.
    reader = csv.DictReader(lines, strict=True)
    if not {"sequence", "digest"} <= set(reader.fieldnames or ()):
        raise ValueError("the first line names the columns, with commas between: sequence and digest must be there")
    for named in reader:
        filled = {name: value for name, value in named.items() if name in FIELDS and value}
        yield msgspec.convert(filled, _Row, strict=False)


def _ndjson(lines: _Lines) -> Iterator[_Row]:
    return (msgspec.json.decode(line, type=_Row) for line in lines if line.strip())


def _held(row: _Row, sequence: int) -> Held:
    if not 1 <= sequence <= SEQUENCE_MAX or not 1 <= row.epoch <= EPOCH_MAX:
        raise ValueError("sequence and epoch are whole numbers from 1")
    digest = bytes.fromhex(row.digest or "")
    if len(digest) != DIGEST_BYTES:
        raise ValueError("digest is the SHA-256 of the data in hexadecimal")
    return Held(row.epoch, sequence, digest)


def _fields(one: Difference) -> dict[str, object]:
    return {**one._asdict(), "theirs": _hex(one.theirs), "ours": _hex(one.ours)}


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


def _print(stream: str, compared: Compared, audit: Audit | None) -> None:
    sides = [f"the log tells {compared.told} events"]
    if compared.held is not None:
        sides.append(f"the consumer holds {compared.held}")
    if audit is not None:
        sides.append(f"the venue lists {compared.listed}, from {show.plain(audit.first)} to {show.plain(audit.last)}")
    typer.echo(f"{stream}: {', '.join(sides)}")
    for what, count in compared.counts.items():
        typer.echo(f"{count} {MEANINGS[what]}")
    if compared.twice:
        typer.echo(f"{compared.twice} the consumer holds more than once")
    rows = [(*one[:7], *((_hex(side) or "-")[:16] for side in (one.theirs, one.ours))) for one in compared.named]
    show.table("Differences", COLUMNS, rows, none="Nothing differs.")
