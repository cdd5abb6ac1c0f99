"""The view of several venues at once, for people: live, and what is left on the screen when it is over."""

from collections.abc import Sequence

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bridge.sim.demo.course import Ended
from bridge.sim.demo.lines import ChannelLine, harm_of, lines_of, trouble_of
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.verdict import Verdict

FRAME_LINES = 3
GOOD, BAD, DIM, WAITING = "green", "bold red", "bright_black", "yellow"
COLUMNS = (
    ("channel", "left", 27),
    ("assigned", "right", 8),
    ("delivered", "right", 9),
    ("healed", "right", 6),
    ("gaps", "right", 4),
    ("missing", "right", 7),
    ("", "left", 34),
)
LEGEND = (
    "missing   named by a gap: no list of the venue's has them (unlisted), or a later state or snapshot",
    "          stands for them (superseded)",
    "unseen    swallowed by the venue where nobody can notice",
    "beside    delivered too, and nobody's due: snapshots, present states, changes in pieces",
)


def draw_board(look: Look, *, height: int) -> RenderableType:
    """The whole screen while it goes on: a line for each channel where ``height`` lines are enough for that."""
    if look.stage is Stage.STARTING or look.bridge is None:
        names = ", ".join(look.scenario.venues)
        return Spinner("dots", f" starting {names}; the bridge with a Postgres of its own; a consumer")
    return Group(_head(look), _table(look, None, over=False, height=height), _consumer(look))


def summarise_board(ended: Ended) -> RenderableType:
    """What each channel came to, what is wrong, and the verdict on the whole."""
    table = _table(ended.look, ended.verdict, over=True)
    return Group(Text(), table, *_footnotes(ended.look), Text(), _verdict(ended))


def _head(look: Look) -> RenderableType:
    scenario = look.scenario
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column()
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    told = Text.assemble((" the bridge ", "bold reverse"), f" seed {scenario.seed} ", (look.page or "", DIM))
    match look.stage:
        case Stage.TRAFFIC:
            end = min(look.elapsed_s, scenario.seconds)
            bar = Bar(scenario.seconds, 0, end, color="cyan")
            line.add_row(told, bar, Text(f"{end:4.1f} of {scenario.seconds:g} s under faults", DIM))
        case Stage.CALM:
            line.add_row(told, Text("the faults have ended", "cyan"), Text("a little more happens", DIM))
        case _:
            word = look.unsettled() or "everything"
            line.add_row(told, Text("the venues are quiet; healing", "cyan"), Text(f"waiting for {word}", DIM))
    return line


def _table(look: Look, numbered: Verdict | None, *, over: bool, height: int | None = None) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for _, side, width in COLUMNS:
        table.add_column(justify="right" if side == "right" else "left", no_wrap=True, min_width=width)
    table.add_row(*(Text(name, DIM) for name, _, _ in COLUMNS))
    channels = {venue: lines_of(look, venue, numbered) for venue in look.scenario.venues}
    room = height is None or sum(1 + len(lines) for lines in channels.values()) + FRAME_LINES <= height
    for venue, lines in channels.items():
        table.add_row(_venue(look, venue, over=over), *([] if room else _sums(lines)))
        for line in lines if room else ():
            table.add_row(*_cells(line, over=over))
    return table


def _sums(lines: Sequence[ChannelLine]) -> list[Text]:
    """A venue in one line."""
    counts = [
        sum(line.assigned for line in lines),
        sum(line.delivered for line in lines),
        sum(line.healed for line in lines),
        sum(line.gaps for line in lines),
        sum(line.told for line in lines),
    ]
    waiting = sum(line.open for line in lines)
    return [*(Text(f"{count:,}") for count in counts), Text(f"{waiting} gaps open" if waiting else "", WAITING)]


def _venue(look: Look, venue: str, *, over: bool) -> Text:
    trouble = None if over else trouble_of(look, venue)
    state = (f" ○ {trouble}", BAD) if trouble else ("", "") if over else (" ● talking", GOOD)
    return Text.assemble((venue, "bold"), state)


def _cells(line: ChannelLine, *, over: bool) -> list[Text]:
    return [
        Text(f"  {line.stream}"),
        Text(f"{line.assigned:,}"),
        Text(f"{line.delivered:,}"),
        Text(f"{line.healed:,}" if line.healed else "·", "" if line.healed else DIM),
        Text(f"{line.gaps:,}" if line.gaps else "·", WAITING if line.open else DIM),
        Text(f"{line.told:,}" if line.told else "·", "" if line.told else DIM),
        _state(line, over=over),
    ]


def _state(line: ChannelLine, *, over: bool) -> Text:
    """Live, a verdict may still be on its way; when it is over, there is one."""
    if over and line.good is False:
        return Text("NOT PROVEN", BAD)
    if line.good and not line.open:
        proven = ("nothing happened", DIM) if not line.assigned else ("PROVEN", GOOD)
        return Text.assemble(proven, (f" {_notes(line)}", DIM))
    if line.open:
        return Text("healing", WAITING)
    return Text("flowing" if line.good is None else "not whole yet", DIM if line.good is None else WAITING)


def _notes(line: ChannelLine) -> str:
    notes = [line.why] if line.told else []
    notes += [f"{line.unnoticed:,} unseen"] if line.unnoticed else []
    notes += [f"{line.beside:,} beside"] if line.beside else []
    return ", ".join(notes)


def _consumer(look: Look) -> RenderableType:
    if look.consumer is None:
        return Text()
    state = look.consumer
    answers = ("○ away: answers 503", BAD) if look.consumer_away else ("● answering", GOOD)
    wrong = state.signature_failures + sum(one.breaks + one.chain_failures for one in state.streams.values())
    checks = (f"{wrong} breaches", BAD) if wrong else ("every entry signed, in order, chained", GOOD)
    return Text.assemble(("consumer ", "bold"), answers, f"  {state.requests:,} requests  ", checks)


def _footnotes(look: Look) -> list[RenderableType]:
    """What the words mean, and what the venues did."""
    notes: list[RenderableType] = [Text(line, DIM) for line in ("", *LEGEND, "")]
    for venue in look.scenario.venues:
        harm = ", ".join(f"{word} {count:,}" for word, count in harm_of(look, venue) if count)
        notes.append(Text.assemble((f"{venue:<12}", "bold"), (harm, DIM)))
    return notes


def _verdict(ended: Ended) -> RenderableType:
    lines = [line for venue in ended.look.scenario.venues for line in lines_of(ended.look, venue, ended.verdict)]
    assigned, told = sum(line.assigned for line in lines), sum(line.told for line in lines)
    took = (f"  ({ended.seconds:.0f} s)", DIM)
    if ended.good:
        words = f"  {len(lines)} channels, {assigned:,} events: each is held once, in its order"
        if told:
            words += f", or is named by a gap ({told:,})"
        return Text.assemble((" PROVEN ", "bold white on green"), words, took)
    bad = sum(line.good is not True for line in lines)
    shown = [Text.assemble((" NOT PROVEN ", "bold white on red"), f"  {bad} of {len(lines)} channels", took)]
    shown += [Text(f"  · {problem}", "red") for problem in ended.problems]
    if ended.unsettled:
        shown.append(Text(f"  · not settled in time: {ended.unsettled}", "red"))
    return Group(*shown)
