"""``bridge epoch``: an operator's word on a stream that is frozen because its numbering is in doubt."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.cli import show
from bridge.cli.database import with_database
from bridge.cli.edge import Edge
from bridge.cli.venue import opened
from bridge.clock import Clock, SystemClock
from bridge.config import Settings
from bridge.core.errors import BridgeError, VenueError
from bridge.core.event import SEQUENCE_MAX
from bridge.ingest import Base, Door, Finding, NewEpoch
from bridge.store import streams
from bridge.store.streams import Stream

WARNING = (
    "This seals epoch {epoch} of {stream} for good: what it still misses is told as lost, and numbers count anew"
    " from {base}. Go on?"
)


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the command to ``app``."""

    @app.command()
    def epoch(
        stream: Annotated[str, typer.Argument(help="The frozen stream, such as pb.events.")],
        same: Annotated[bool, typer.Option("--same", help="The venue did not restart its numbers: go on.")] = False,
        new: Annotated[bool, typer.Option("--new", help="It did: seal this epoch and open the next.")] = False,
        base: Annotated[
            int | None,
            typer.Option(min=1, max=SEQUENCE_MAX, help="With --new: its first number; else it is asked for."),
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help="With --new: do not ask again.")] = False,
    ) -> None:
        """Decide whether a frozen stream's numbers go on or began anew."""
        if same == new:
            raise typer.BadParameter("say either --same or --new")
        if base is not None and not new:
            raise typer.BadParameter("--base goes with --new")
        settings = edge.settings()
        if stream not in parts.stream_specs(settings):
            raise BridgeError(f"no source that is configured has a stream {show.plain(stream)}")
        clock = SystemClock()

        async def decide(engine: AsyncEngine) -> Stream:
            frozen = await _frozen(engine, stream)
            if same:
                return await _record(engine, settings, clock, stream, Finding(frozen.epoch, same_epoch=True))
            begin = Base(base, None) if base is not None else await _asked(settings, clock, frozen.source)
            warning = WARNING.format(epoch=frozen.epoch, stream=stream, base=begin.number)
            if not yes:
                typer.confirm(warning, abort=True)
            return await _record(engine, settings, clock, stream, NewEpoch(frozen.epoch, begin))

        now_is = with_database(settings, decide)
        typer.echo(f"{stream} goes on in epoch {now_is.epoch}, frontier {now_is.frontier}")


async def _frozen(engine: AsyncEngine, name: str) -> Stream:
    async with engine.connect() as connection:
        stream = await streams.read(connection, name)
    if stream is None:
        raise BridgeError(f"there is no stream {name} yet: 'bridge run' or 'bridge worker' makes it")
    if stream.suspect_at is None:
        raise BridgeError(f"{name} is not frozen: its numbering is not in doubt")
    return stream


async def _asked(settings: Settings, clock: Clock, name: str) -> Base:
    """The first number that the venue still has."""
    async with opened(settings.numbered[name], clock) as source:
        page = await source.replay.page(since=None, limit=1)
    if not page.events or page.events[0].sequence is None:
        raise VenueError("the venue has no event to begin at: name the first number with --base")
    return Base(page.events[0].sequence, page.events[0].occurred_at or page.venue_now)


async def _record(
    engine: AsyncEngine, settings: Settings, clock: Clock, name: str, decision: Finding | NewEpoch
) -> Stream:
    """The stream as it stands after the decision went through the door, like everything else."""
    async with Door(engine, clock, parts.stream_specs(settings)) as door:
        if isinstance(decision, Finding):
            await door.record(name, decision)
        else:
            await door.open_epoch(name, decision)
    async with engine.connect() as connection:
        stream = await streams.read(connection, name)
    assert stream is not None
    if stream.suspect_at is not None:
        raise BridgeError(f"{name} is in doubt again already: see what the venue says before you decide")
    return stream
