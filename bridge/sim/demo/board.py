"""The view of several venues at once, for people: live, and what is left on the screen when it is over."""

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bridge.sim.demo.course import Ended
from bridge.sim.demo.lines import ChannelLine, harm_of, lines_of, trouble_of
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.verdict import Verdict

GOOD, BAD, DIM, WAITING = "green", "bold red", "bright_black", "yellow"
BESIDE = "delivered beside what was assigned: present states, snapshots, changes in pieces"
COLUMNS = (
    ("channel", "left", 33),
    ("assigned", "right", 8),
    ("delivered", "right", 9),
    ("healed", "right", 6),
    ("gaps", "right", 5),
    ("told missing", "right", 12),
    ("", "left", 18),
)


def draw_board(look: Look) -> RenderableType:
    """The whole screen while it goes on."""
    if look.stage is Stage.STARTING or look.bridge is None:
        names = ", ".join(look.scenario.venues)
        return Spinner("dots", f" starting {names}; the bridge with a Postgres of its own; a consumer")
    return Group(_head(look), _table(look, None, over=False), _consumer(look))


def summarise_board(ended: Ended) -> RenderableType:
    """What each channel came to, what is wrong, and the verdict on the whole."""
    return Group(Text(), _table(ended.look, ended.verdict, over=True), Text(), _verdict(ended))


def _head(look: Look) -> RenderableType:
    scenario = look.scenario
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column()
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    told = Text.assemble((" the bridge ", "bold reverse"), f" seed {scenario.seed}")
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


def _table(look: Look, numbered: Verdict | None, *, over: bool) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for _, side, width in COLUMNS:
        table.add_column(justify="right" if side == "right" else "left", no_wrap=True, min_width=width)
    table.add_row(*(Text(name, DIM) for name, _, _ in COLUMNS))
    for venue in look.scenario.venues:
        table.add_row(_venue(look, venue, over=over))
        for line in lines_of(look, venue, numbered):
            table.add_row(*_cells(line, over=over))
    if not over:
        return table
    return Group(table, *_footnotes(look, numbered))


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
        return Text("nothing happened", DIM) if not line.assigned else Text("PROVEN", GOOD)
    if line.open:
        return Text("healing", WAITING)
    return Text("flowing" if line.good is None else "not whole yet", DIM if line.good is None else WAITING)


def _consumer(look: Look) -> RenderableType:
    if look.consumer is None:
        return Text()
    state = look.consumer
    answers = ("○ away: answers 503", BAD) if look.consumer_away else ("● answering", GOOD)
    wrong = state.signature_failures + sum(one.breaks + one.chain_failures for one in state.streams.values())
    checks = (f"{wrong} breaches", BAD) if wrong else ("every entry signed, in order, chained", GOOD)
    return Text.assemble(("consumer ", "bold"), answers, f"  {state.requests:,} requests  ", checks)


def _footnotes(look: Look, numbered: Verdict | None) -> list[RenderableType]:
    """What the venues did, and why something is told as missing."""
    notes: list[RenderableType] = [Text()]
    for venue in look.scenario.venues:
        harm = ", ".join(f"{word} {count:,}" for word, count in harm_of(look, venue) if count)
        notes.append(Text.assemble((f"{venue:<12}", "bold"), (harm, DIM)))
        for line in lines_of(look, venue, numbered):
            if line.beside:
                notes.append(Text(f"  {line.stream}: {line.beside:,} {BESIDE}", DIM))
            if line.told:
                notes.append(Text(f"  {line.stream}: {line.told:,} told as missing, {line.why}", DIM))
            if line.unnoticed:
                notes.append(Text(f"  {line.stream}: {line.unnoticed:,} swallowed where nobody can notice", DIM))
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
