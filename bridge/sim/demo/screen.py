"""The live view: the way of the events from the venue to the consumer, and the gaps as they open and heal."""

from collections.abc import Iterable
from datetime import datetime

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bridge.sim.demo.board import draw_board
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.scenario import NUMBERED, SOCKETED
from bridge.store.overview import GapRow

WIDTH_MAX = 104
GAPS_SHOWN = 9
HEALED_SHOWN = 4
VOID_SHOWN = 2
GOOD, BAD, DIM, WAITING = "green", "bold red", "bright_black", "yellow"
ENDED = {"open": WAITING, "recovered": GOOD, "void": DIM, "lost": BAD, "superseded": DIM}


def drawn(look: Look, now: datetime, *, height: int) -> RenderableType:
    """The whole screen, which is ``height`` lines high: of the numbered venue alone, or of several."""
    return draw_board(look, height=height) if look.scenario.followed else draw(look, now)


def draw(look: Look, now: datetime) -> RenderableType:
    """The whole screen of the numbered venue."""
    if look.stage is Stage.STARTING or look.venue is None:
        return Spinner("dots", " starting a venue that lies, the bridge with a Postgres of its own, and a consumer")
    sides = Table.grid(expand=True)
    for _ in range(2):
        sides.add_column(ratio=1)
    sides.add_row(_panel("venue", _venue(look)), _panel("consumer", _consumer(look, now)))
    title = f"bridge, its page at {look.page}" if look.page else "bridge"
    return Group(_head(look), sides, _panel(title, _streams(look)), _panel(_gaps_title(look), _gaps(look, now)))


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="bright_black", padding=(0, 1))


def _head(look: Look) -> RenderableType:
    scenario = look.scenario
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column()
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    told = Text.assemble(
        (" the bridge ", "bold reverse"), f" seed {scenario.seed} · {scenario.events_per_s:g} events/s", (" ", "")
    )
    if look.stage is Stage.TRAFFIC:
        size, end, word = scenario.seconds, min(look.elapsed_s, scenario.seconds), "of traffic"
        line.add_row(told, Bar(size, 0, end, color="cyan"), Text(f"{end:4.1f} of {size:g} s {word}", DIM))
    else:
        word = look.unsettled() or "everything"
        line.add_row(told, Text("the venue is quiet; settling", "cyan"), Text(f"waiting for {word}", DIM))
    return line


def _facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style=DIM, no_wrap=True)
    table.add_column(no_wrap=True)
    for name, fact in rows:
        table.add_row(name, fact)
    return table


def _venue(look: Look) -> RenderableType:
    venue = look.venue
    assert venue is not None
    told = venue.deliveries
    lost = told.get("lost", 0) + told.get("dropped", 0)
    socket = ("○ open, but silent", BAD) if venue.silent else ("● talking", GOOD) if venue.sockets else ("○ cut", BAD)
    if venue.down:
        socket = ("○ refused", BAD)
    return _facts(
        [
            ("assigned", Text(f"{venue.assigned:,} events of ours, up to number {venue.head or 0:,}")),
            (
                "webhooks",
                Text.assemble(f"{told.get('accepted', 0):,} taken, ", (f"{lost:,} lost", WAITING if lost else "")),
            ),
            ("socket", Text.assemble(socket, f", connected {venue.sockets_accepted}×")),
            (
                "replay",
                Text("○ DOWN: answers 503", BAD)
                if venue.down
                else Text.assemble(("● answering", GOOD), f", asked {venue.replay_requests}×"),
            ),
        ]
    )


def _consumer(look: Look, now: datetime) -> RenderableType:
    consumer = look.consumer
    assert consumer is not None
    state, cursor = consumer.of(NUMBERED), look.cursor(NUMBERED)
    behind = 0 if cursor is None else cursor.behind
    waits_s = (
        0.0 if cursor is None or cursor.oldest_at is None else max(0.0, (now - cursor.oldest_at).total_seconds())
    )
    failing = look.consumer_away or (cursor is not None and cursor.failures > 0)
    answers = ("○ away: answers 503", BAD) if look.consumer_away else ("● answering", GOOD)
    if failing and not look.consumer_away:
        answers = ("○ refused one, which is tried again", WAITING)
    wrong = state.out_of_order + state.breaks + state.chain_failures + consumer.signature_failures
    return _facts(
        [
            ("holds", Text(f"{state.held:,} of {NUMBERED}, {consumer.of(SOCKETED).held:,} of {SOCKETED}")),
            (
                "waiting",
                Text(
                    f"{behind:,} entries, the first for {waits_s * 1000:,.0f} ms" if behind else "nothing",
                    WAITING if behind else GOOD,
                ),
            ),
            ("state", Text.assemble(answers)),
            ("checks", Text(f"{wrong} breaches", BAD) if wrong else Text("signed, in order, chained", GOOD)),
        ]
    )


def _streams(look: Look) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 2))
    for name, side in (
        ("stream", "left"),
        ("heard by", "left"),
        ("proven to", "right"),
        ("head", "right"),
        ("log", "right"),
        ("delivered", "right"),
    ):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    table.add_row(*(Text(word, DIM) for word in ("stream", "heard by", "proven to", "head", "log", "delivered")))
    for name in (NUMBERED, SOCKETED):
        stream, cursor = look.stream(name), look.cursor(name)
        if stream is None:
            continue
        ways = ("webhook", "replay") if name == NUMBERED else ("websocket",)
        heard = " · ".join(f"{way} {look.heard(name, way)[0]:,}" for way in ways)
        proven = (stream.frontier or 1) - 1
        table.add_row(
            Text(name, "bold"),
            heard,
            Text(f"{proven:,}", GOOD if proven >= stream.head else WAITING),
            f"{stream.head:,}",
            f"{stream.position:,}",
            f"{0 if cursor is None else cursor.position:,}",
        )
    return table


def _gaps_title(look: Look) -> str:
    counts = " · ".join(
        f"[{ENDED[state]}]{look.gaps(state)} {state}[/]" for state in ("open", "recovered", "void", "lost")
    )
    return f"gaps  {counts}"


def _gaps(look: Look, now: datetime) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=True)
    for side in ("right", "left", "left", "right"):
        table.add_column(
            justify="right" if side == "right" else "left", no_wrap=True, ratio=3 if side == "left" else None
        )
    shown = chosen(look.bridge.gaps if look.bridge is not None else ())
    for gap in shown:
        age_s = ((gap.closed_at or now) - gap.opened_at).total_seconds()
        table.add_row(
            numbers(gap), Text(gap.state, ENDED[gap.state]), Text(_how(gap), ENDED[gap.state]), f"{age_s:.1f} s"
        )
    for _ in range(GAPS_SHOWN - len(shown)):
        table.add_row("")
    return table


def chosen(newest_first: Iterable[GapRow]) -> list[GapRow]:
    """What is worth a line, in order: the latest that healed, the latest proven void, the oldest that are open."""
    gaps = list(newest_first)
    healed = [gap for gap in gaps if gap.state in ("recovered", "lost")][:HEALED_SHOWN]
    void = [gap for gap in gaps if gap.state in ("void", "superseded")][: HEALED_SHOWN + VOID_SHOWN - len(healed)]
    waiting = [gap for gap in gaps if gap.state == "open"][::-1]
    return sorted([*healed, *void, *waiting[: GAPS_SHOWN - len(healed) - len(void)]], key=lambda gap: gap.first)


def numbers(gap: GapRow) -> str:
    return f"{gap.first:,}" if gap.first == gap.last else f"{gap.first:,} – {gap.last:,}"


def _how(gap: GapRow) -> str:
    """How it ended, or what it waits for."""
    match gap.state:
        case "recovered":
            return f"{gap.found} {'event' if gap.found == 1 else 'events'} healed by {gap.healed_by}"
        case "void":
            return "proven empty: not ours, or burnt"
        case "lost":
            return f"{gap.lost} numbers that the venue forgot; told in place"
        case _:
            return "asking the replay" + (f"; no proof yet: {gap.withheld}" if gap.withheld else "")
