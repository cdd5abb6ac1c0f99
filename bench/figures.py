"""Figures: what was measured, in which unit, and what it should be."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``least`` or ``most`` is the target it is held to, if there is one."""

    question: str
    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.least is not None:
            return self.value >= self.least
        return None if self.most is None else self.value <= self.most

    @property
    def target(self) -> str:
        if self.least is not None:
            return f">= {_written(self.least)}"
        return "" if self.most is None else f"< {_written(self.most)}"

    def members(self) -> dict[str, object]:
        return {**asdict(self), "met": self.met}


def show(figures: Sequence[Figure], console: Console) -> None:
    """The table for people."""
    table = Table("question", "figure", "value", "unit", "target", "")
    table.columns[2].justify = "right"
    for figure in figures:
        verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[figure.met]
        value = _written(figure.value)
        table.add_row(figure.question, figure.name, value, figure.unit, figure.target, verdict)
    console.print(table)


def _written(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
