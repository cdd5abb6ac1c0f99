"""What a worker does for a numbered source: its streams are declared, and what they are heard by is written down."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.app.reading import reading
from bridge.clock import SystemClock
from bridge.config import Settings, load_settings
from bridge.ingest import Door
from bridge.sim.playbatman import API_KEY, MARKETS, SimConfig
from bridge.store.follows import Follow
from bridge.store.overview import look
from tests.processes.waiting import eventually
from tests.sim.serving import running

CLOCK = SystemClock()
PATIENCE_S = 20


def configured(folder: Path, port: int) -> Settings:
    written = folder / "bridge.toml"
    written.write_text(
        f'[sources.pb]\nvenue = "playbatman"\nrest_url = "http://127.0.0.1:{port}"\n'
        f'ws_url = "ws://127.0.0.1:{port}/ws"\napi_key = "${{PB_API_KEY}}"\nmarkets = ["{MARKETS[0]}"]\n'
        "[sources.pb.ws]\nbackoff_first_s = 0.01\n"
    )
    return load_settings({"PB_API_KEY": API_KEY}, config_path=written)


async def declared(engine: AsyncEngine) -> dict[str, Follow]:
    overview = await look(engine)
    return {stream.name: overview.follows[stream.id] for stream in overview.streams}


async def is_connection(engine: AsyncEngine, state: str) -> bool:
    return [connection.state for connection in (await look(engine)).connections] == [state]


@pytest.mark.parametrize(
    "key, socket, state", [(API_KEY, "connected", "subscribed"), ("another", "misconfigured", "refused")]
)
async def test_the_streams_of_the_table_are_declared_and_say_what_they_are_heard_by(
    key: str, socket: str, state: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with asyncio.timeout(PATIENCE_S), running(SimConfig(events_per_s=0.0)) as venue:
        settings = configured(tmp_path, venue.port)
        [known] = settings.numbered.values()
        told = load_settings({"PB_API_KEY": key}, config_path=tmp_path / "bridge.toml")
        [source] = parts.open_sources(told, CLOCK).values()
        specs = parts.stream_specs(settings)
        assert {name: spec.numbering for name, spec in specs.items()} == {"pb.events": "venue", "pb.ws": "bridge"}
        async with Door(engine, CLOCK, specs) as door, asyncio.TaskGroup() as tasks:
            for name in specs:
                await door.open(name)
            before = await declared(engine)
            assert {name: (row.model, row.repair) for name, row in before.items()} == {
                "pb.events": ("sparse", "history"),
                "pb.ws": ("none", "nothing"),
            }
            work = reading(source, known, engine, door, CLOCK, gap_sweep_every_s=0.5)

            async def listen() -> None:
                await work.listen()

            listening = tasks.create_task(listen())

            async def is_told() -> bool:
                states = {name: row.state for name, row in (await declared(engine)).items()}
                return states == {"pb.events": "subscribed", "pb.ws": state}

            await eventually(lambda: is_connection(engine, socket))
            await eventually(is_told)
            listening.cancel()
        await source.close()
