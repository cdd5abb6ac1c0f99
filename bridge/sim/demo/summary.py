"""What is left on the screen when a demo is over: what was lost upstream, how it was healed, and the verdict."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.sim.demo.board import summarise_board
from bridge.sim.demo.course import Ended
from bridge.sim.demo.look import Look
from bridge.sim.demo.parts import ConsumerState
from bridge.sim.demo.scenario import NUMBERED, SOCKETED
from bridge.sim.demo.verdict import Verdict


def summarise(ended: Ended) -> RenderableType:
    """The summary, in words."""
    verdict = ended.verdict
    if verdict is None or ended.look.scenario.followed:
        return summarise_board(ended)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", justify="right", no_wrap=True)
    table.add_column()
    for title, text in (*_upstream(ended.look), *_healing(ended.look), *_downstream(ended.look, verdict)):
        table.add_row(title, text)
    return Group(Text(), table, Text(), _verdict(ended, verdict))


def _upstream(look: Look) -> list[tuple[str, str]]:
    venue = look.venue
    if venue is None:
        return []
    told, socket = venue.deliveries, look.heard(SOCKETED, "websocket")[0]
    cuts = max(0, venue.sockets_accepted - 1)
    return [
        (
            "the venue",
            f"assigned {venue.assigned:,} events of ours, on a counter of {venue.head or 0:,} shared with others",
        ),
        (
            "webhooks",
            f"{told.get('lost', 0):,} were never sent, {told.get('duplicated', 0):,} came twice, some had no number",
        ),
        ("the socket", f"told of {socket:,}; was cut or silent, and connected again, {cuts:,} times"),
    ]


def _healing(look: Look) -> list[tuple[str, str]]:
    webhook, replay = look.heard(NUMBERED, "webhook")[1], look.heard(NUMBERED, "replay")[1]
    asked = look.venue.replay_requests if look.venue is not None else 0
    count = {state: look.gaps(state) for state in ("recovered", "void", "lost", "open")}
    ends = f"{count['recovered']:,} healed by events, {count['void']:,} proven empty, {count['lost']:,} lost"
    return [
        ("the replay", f"was asked {asked:,} times"),
        (
            "heard first",
            f"{webhook:,} by webhook, {replay:,} by replay",
        ),
        ("gaps", f"{sum(count.values()):,} opened: {ends}, {count['open']:,} still open"),
    ]


def _downstream(look: Look, verdict: Verdict) -> list[tuple[str, str]]:
    consumer = look.consumer or ConsumerState(0, 0, 0, {})
    state = consumer.of(NUMBERED)
    late = sum(state.kinds.get(kind, 0) for kind in ("late", "recovered"))
    refused = consumer.requests - sum(each.held + each.duplicates for each in consumer.streams.values())
    return [
        (
            "the consumer",
            f"was sent {consumer.requests:,} requests, refused {max(0, refused):,}, got {state.duplicates:,} twice,"
            f" and holds {verdict.delivered:,} events" + (f", {late} of them told late" if late else ""),
        )
    ]


def _verdict(ended: Ended, verdict: Verdict) -> RenderableType:
    if ended.good:
        return Text.assemble(
            (" PROVEN ", "bold white on green"),
            f"  all {verdict.assigned:,} events that the venue assigned are held once, in order, byte for byte",
            (f"  ({ended.seconds:.0f} s)", "bright_black"),
        )
    lines = [
        Text.assemble(
            (" NOT PROVEN ", "bold white on red"), f"  {verdict.delivered:,} of {verdict.assigned:,} events"
        )
    ]
    lines += [Text(f"  · {problem}", "red") for problem in verdict.problems]
    if ended.unsettled:
        lines.append(Text(f"  · not settled in time: {ended.unsettled}", "red"))
    return Group(*lines)
