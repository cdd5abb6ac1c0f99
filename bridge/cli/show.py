"""How answers look: tables for people, JSON for programs. Foreign text never reaches the terminal as it came."""

import sys
from collections.abc import Sequence
from datetime import datetime

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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


def seconds(span_s: float) -> str:
    """A span of time in one or two units: 0.4s, 12s, 3m 20s, 5h 02m, 2d 3h."""
    sign, span_s = ("-", -span_s) if span_s < 0 else ("", span_s)
    if span_s < 10:
        return f"{sign}{span_s:.1f}s"
    whole = round(span_s)
    minutes, rest_s = divmod(whole, 60)
    hours, rest_m = divmod(minutes, 60)
    days, rest_h = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {rest_h}h"
    if hours:
        return f"{sign}{hours}h {rest_m:02}m"
    return f"{sign}{minutes}m {rest_s:02}s" if minutes else f"{sign}{whole}s"


def ago(moment: datetime | None, now: datetime) -> str:
    return "-" if moment is None else seconds((now - moment).total_seconds())


def until(moment: datetime | None, now: datetime) -> str:
    """How long until ``moment``, or since when it has passed."""
    if moment is None:
        return "-"
    left_s = (moment - now).total_seconds()
    return f"in {seconds(left_s)}" if left_s >= 0 else f"{seconds(-left_s)} ago"
