"""The demo's three parts as they are asked and told over the wire: the venue, the bridge's database, the consumer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.errors import BridgeError
from bridge.sim.consumer import Held
from bridge.sim.demo.scenario import NUMBERED
from bridge.sim.playbatman import Faults
from bridge.store import gaps
from bridge.store.engine import make_engine, store_errors
from bridge.store.overview import GapRow, Overview, gaps_at_a_glance, read
from bridge.store.streams import Stream

ASK_TIMEOUT_S = 20.0
GAPS_SHOWN_MAX = 400
GAPS_COUNTED_MAX = 5_000

T = TypeVar("T")


class Assigned(msgspec.Struct, frozen=True):
    """A row that the venue assigned to us: the truth. ``conflict``: a webhook contradicts it."""

    epoch: int
    sequence: int
    sha256: str
    conflict: bool


class TruthPage(msgspec.Struct, frozen=True):
    rows: list[Assigned]
    next: int | None


class VenueState(msgspec.Struct, frozen=True):
    head: int | None
    assigned: int
    deliveries: dict[str, int]
    sockets: int
    sockets_accepted: int
    replay_requests: int
    down: bool
    silent: bool


class StreamState(msgspec.Struct, frozen=True):
    """What the consumer found of one stream."""

    last: int = 0
    held: int = 0
    kinds: dict[str, int] = {}
    duplicates: int = 0
    out_of_order: int = 0
    missing: int = 0
    breaks: int = 0
    chain_failures: int = 0
    digest_failures: int = 0


class ConsumerState(msgspec.Struct, frozen=True):
    requests: int
    signature_failures: int
    malformed: int
    streams: dict[str, StreamState]

    def of(self, stream: str) -> StreamState:
        return self.streams.get(stream, StreamState())


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the bridge's database says.

    ``gaps`` are the newest of the numbered stream, ``counts`` all of it by state; ``in_time`` are those of the
    streams that the bridge numbers itself, newest first.
    """

    overview: Overview
    gaps: tuple[GapRow, ...]
    counts: Mapping[str, int]
    in_time: tuple[GapRow, ...] = ()

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The streams by name."""
        return {stream.name: stream for stream in self.overview.streams}


class Part:
    """A part with a control plane."""

    def __init__(self, name: str, http: httpx.AsyncClient, port: int) -> None:
        self.name = name
        self._http = http
        self.address = f"http://127.0.0.1:{port}"

    async def ask(self, path: str, kind: type[T], **query: str | int) -> T:
        """The answer to GET ``path``, as a ``kind``.

        Raises:
            BridgeError: no answer, or one that says no.
        """
        return msgspec.json.decode(await self._call("GET", path, params=query), type=kind)

    async def tell(self, path: str, what: object = None) -> None:
        """POST ``what``. Raises as ``ask`` does."""
        await self._call("POST", path, content=msgspec.json.encode(what or {}))

    async def _call(self, method: str, path: str, **given: object) -> bytes:
        try:
            answer = await self._http.request(method, self.address + path, timeout=ASK_TIMEOUT_S, **given)  # type: ignore[arg-type]  # passed on as it came
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise BridgeError(f"the {self.name} does not answer {path}: {type(error).__name__}") from error
        return answer.content


async def truth(venue: Part) -> list[Assigned]:
    """Every row that the venue assigned to us, in the order of its numbers."""
    rows: list[Assigned] = []
    after: int | None = 0
    while after is not None:
        page = await venue.ask("/control/truth", TruthPage, after=after)
        rows += page.rows
        after = page.next
    return rows


async def end_faults(venue: Part) -> None:
    """Switch every fault off; whose numbers lie between ours stays as it is."""
    none = {name: value for name, value in asdict(Faults()).items() if name not in ("contiguous", "others_share")}
    await venue.tell("/control/faults", none)


async def holdings(consumer: Part, stream: str) -> list[Held]:
    """Every entry of ``stream`` that the consumer holds, in the order it came."""
    held: list[Held] = []
    while page := await consumer.ask(
        "/control/held", list[Held], stream=stream, after=held[-1].position if held else 0
    ):
        held += page
    return held


def open_database(folder: Path) -> AsyncEngine:
    """The bridge's own Postgres, by the socket below its data folder."""
    socket = (folder / "socket").resolve()  # may be a link to a shorter path
    return make_engine(f"postgresql+asyncpg://bridge@/postgres?host={socket}", pool_max=1)


async def look_into(database: AsyncEngine) -> Bridge:
    """Raises StoreUnavailable."""
    with store_errors():
        async with database.connect() as connection:
            overview = await read(connection)
            shown = await gaps_at_a_glance(connection, stream=NUMBERED, open_only=False, limit=GAPS_SHOWN_MAX)
            in_time: Sequence[GapRow] = ()
            if overview.follows:
                newest = await gaps_at_a_glance(connection, stream=None, open_only=False, limit=GAPS_COUNTED_MAX)
                in_time = [gap for gap in newest if gap.axis == "time"]
            counts: dict[str, int] = {}
            for stream in overview.streams:
                if stream.name == NUMBERED:
                    counts = await gaps.counts(connection, stream_id=stream.id)
    return Bridge(overview, tuple(shown), counts, tuple(in_time))
