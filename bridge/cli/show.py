"""How answers look: tables for people, JSON for programs. Foreign text never reaches the terminal as it came."""

import sys
from collections.abc import Sequence

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.core import duration

PIPE_WIDTH_CHARS = 200
CELL_CHARS_MAX = 160
NUMBERS = frozenset(
    {"id", "epoch", "frontier", "head", "lag", "position", "gaps", "unmatched", "first", "last", "reads"}
)
NUMBERS |= {"found", "lost", "behind", "failures", "dropped", "complete", "assigned", "events", "void", "open"}
NUMBERS |= {"late", "recovered", "conflicts", "superseded", "most behind", "webhook", "socket", "replay", "p95"}
NUMBERS |= {"delivered", "first try", "attempts", "p50", "p99", "owed", "parked", "expired"}
"""Columns that are flush right."""


def console() -> Console:
    """Standard output; a pipe gets lines that are long enough."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH_CHARS, highlight=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, none: str) -> None:
    """Print ``rows`` under ``columns``; where there are none, that."""
    out = console()
    if not rows:
        out.print(Text(none, style="dim"))
        return
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        made.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    out.print(made)


def facts(title: str, pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and what they stand for, one a line; what is long goes on below itself."""
    made = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in pairs:
        made.add_row(Text(name, style="dim"), value if isinstance(value, Text) else Text(plain(value)))
    console().print(made)


def state(told: str, *, fine: str) -> Text:
    """A state in green if it is the one that is fine, else in a colour that is seen."""
    return Text(plain(told), style="green" if told == fine else "bold red")


def as_json(told: object) -> None:
    """Print ``told`` as one line of JSON."""
    typer.echo(msgspec.json.encode(told).decode())


def plain(value: object) -> str:
    """``value`` in printable characters, not too many of them."""
    if value is None:
        return "-"
    text = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return text if len(text) <= CELL_CHARS_MAX else f"{text[: CELL_CHARS_MAX - 1]}…"


seconds, ago, until = duration.seconds, duration.ago, duration.until
