"""The channel table: what each stream of the venue is, and which losses nobody can notice."""

from bridge.clock import ManualClock
from bridge.core.channel import Model, Repair
from bridge.sources.playbatman.channels import EVENTS, SOCKET
from bridge.sources.playbatman.source import PlayBatman, PlayBatmanOptions
from tests.events import START


def source(ws_url: str | None) -> PlayBatman:
    options = PlayBatmanOptions(name="pb", rest_url="http://127.0.0.1:9", api_key="k", ws_url=ws_url)
    return PlayBatman(options, clock=ManualClock(START), jitter=lambda: 0.0)


def test_the_numbered_channel_is_healed_and_misses_nothing_unnoticed() -> None:
    assert (EVENTS.model, EVENTS.repair, EVENTS.unnoticed) == (Model.SPARSE, Repair.HISTORY, None)
    assert EVENTS.stream_of("pb") == "pb.events"


def test_the_socket_heals_nothing_and_says_what_it_may_miss() -> None:
    assert (SOCKET.model, SOCKET.repair) == (Model.NONE, Repair.NOTHING)
    assert SOCKET.id_fields == (), "two equal frames may be two events"
    assert SOCKET.unnoticed
    assert SOCKET.stream_of("pb") == "pb.ws"


async def test_a_source_has_the_socket_where_it_has_an_address() -> None:
    for ws_url, channels in ((None, (EVENTS,)), ("ws://127.0.0.1:9/ws", (EVENTS, SOCKET))):
        opened = source(ws_url)
        assert opened.channels == channels
        assert opened.told == (SOCKET if ws_url else None)
        await opened.close()
