"""The venue's channels as data: how each hangs together, what can be noticed, and what repairs a hole."""

from bridge.core.channel import Channel, Model, Repair

EVENTS = Channel(
    series="events",
    topic="GET /api/v1/events",
    model=Model.SPARSE,
    repair=Repair.HISTORY,
    id_fields=("sequence",),
    scope="operator",
    private=True,
    settle_s=2.0,
    reach="24 hours, asked by number",
)
"""What deliveries and the replay tell under the venue's own numbers."""

SOCKET = Channel(
    series="ws",
    topic="SUBSCRIBE",
    model=Model.NONE,
    repair=Repair.NOTHING,
    id_fields=(),
    scope="market",
    settle_s=0.0,
    reach="nothing: the venue tells a frame once, to whoever is connected",
    unnoticed="a frame that was not sent or not heard; and one told twice looks like two equal ones",
)
"""What the socket tells, as it was heard."""


def channels_of(*, socket: bool) -> tuple[Channel, ...]:
    """The channels of a source; ``socket`` says whether there is anything to listen to."""
    return (EVENTS, SOCKET) if socket else (EVENTS,)
