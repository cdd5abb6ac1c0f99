"""A report's charts: gaps over time, what was heard by which transport, and how fast was delivered.

Drawn with matplotlib, which is loaded with this module and with nothing else. Colours are those of Okabe and Ito,
which people tell apart whatever they see of colour, and each has a hatch or a marker beside it. The same report gives
the same bytes.
"""

import io
from collections.abc import Sequence
from datetime import datetime

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bridge.report.brief import Brief
from bridge.report.shape import Report, StreamReport

# A matplotlibrc in somebody's folder has no say: it could move even the hours, which the defaults leave alone.
mpl.rcdefaults()
mpl.rcParams.update({"timezone": "UTC", "date.epoch": "1970-01-01T00:00:00"})
mpl.rcParams.update({"svg.hashsalt": "bridge", "svg.fonttype": "none", "hatch.linewidth": 0.6})

INK, LINE = "#010203", "#030201"
"""What stands for the page's own colours in an SVG: see ``svg_of``."""
OUTCOMES = {
    "recovered": ("#009e73", ""),
    "void": ("#bbbbbb", "...."),
    "superseded": ("#56b4e9", "\\\\\\\\"),
    "open": ("#e69f00", "////"),
    "lost": ("#d55e00", "xxxx"),
}
WAYS = {"webhook": ("#0072b2", ""), "websocket": ("#56b4e9", "////"), "replay": ("#e69f00", "....")}
LATENCY = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#e69f00", "v"), ("#56b4e9", "P"))
STREAMS_MAX = 40
NAME_CHARS_MAX = 40
LINE_ON_PAPER = "#c4cad1"
HOUR_DAYS = 1 / 24
_WIDTH_IN, _DPI = 10.0, 150
_BAR_DAYS_MIN = 1 / 24 / 30


def charts(brief: Brief, *, line: str = LINE) -> dict[str, Figure]:
    """The charts for which there is something to draw, by title. ``line`` is the colour of what is in the back."""
    report = brief.report
    drawn = {
        "Gaps, from opened to ended": _timeline(report, line),
        "Events heard an hour, by transport": _heard(brief, line),
        "From heard to delivered, an hour": _latency(report, line),
    }
    return {title: figure for title, figure in drawn.items() if figure is not None}


def svg_of(figure: Figure) -> str:
    """The chart as SVG to stand in HTML: ink and lines are the page's ``--ink`` and ``--line``."""
    out = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace(INK, "var(--ink)").replace(LINE, "var(--line)")


def png_of(figure: Figure) -> bytes:
    """The chart for paper."""
    out = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def most_troubled(streams: Sequence[StreamReport]) -> list[StreamReport]:
    """The streams whose gaps are drawn, by name: those with the most, up to ``STREAMS_MAX``."""
    troubled = sorted(
        (one for one in streams if one.gaps.timeline), key=lambda one: (-len(one.gaps.timeline), one.stream)
    )
    return sorted(troubled[:STREAMS_MAX], key=lambda one: one.stream)


def _timeline(report: Report, line: str) -> Figure | None:
    drawn = most_troubled(report.streams)
    if not drawn:
        return None
    figure, axes = _axes(report, line, height_in=1.1 + 0.28 * len(drawn))
    end = _num(report.until)
    for row, stream in enumerate(drawn):
        for bar in stream.gaps.timeline:
            begin = max(_num(bar.opened_at), _num(report.since))
            until = end if bar.closed_at is None else _num(bar.closed_at)
            colour, hatch = OUTCOMES[bar.state]
            width = max(until - begin, _BAR_DAYS_MIN)
            axes.barh(row, width, left=begin, height=0.6, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4)
    axes.set_yticks(range(len(drawn)), [_plain(one.stream) for one in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    there = {bar.state for one in drawn for bar in one.gaps.timeline}
    _legend(axes, {state: look for state, look in OUTCOMES.items() if state in there})
    return figure


def _heard(brief: Brief, line: str) -> Figure | None:
    hours = sorted({hour for counted in brief.heard.values() for hour, told in counted.items() if told})
    if not hours:
        return None
    figure, axes = _axes(brief.report, line, height_in=2.8)
    below = [0] * len(hours)
    for way, (colour, hatch) in WAYS.items():
        told = [brief.heard[way].get(hour, 0) for hour in hours]
        left = [_num(hour) for hour in hours]
        axes.bar(
            left, told, bottom=below, width=HOUR_DAYS * 0.9, align="edge", color=colour, hatch=hatch, edgecolor=INK,
            linewidth=0.4,
        )  # fmt: skip
        below = [low + high for low, high in zip(below, told, strict=True)]
    _legend(axes, WAYS)
    return figure


def _latency(report: Report, line: str) -> Figure | None:
    sent = [one for one in report.destinations if one.deliveries.delivered]
    busiest = sorted(sent, key=lambda one: (-one.deliveries.delivered, one.destination))[: len(LATENCY)]
    if not busiest:
        return None
    figure, axes = _axes(report, line, height_in=2.8)
    lines, labels = list[Line2D](), list[str]()  # of its own a legend leaves out what begins with an underscore
    for one, (colour, marker) in zip(sorted(busiest, key=lambda one: one.destination), LATENCY, strict=False):
        hours = [hour for hour in one.hours if hour.deliveries.delivered]
        middle = [_num(hour.hour) + HOUR_DAYS / 2 for hour in hours]
        for name, dashes in (("p50_ms", "-"), ("p99_ms", "--")):
            values = [getattr(hour.deliveries, name) for hour in hours]
            labels.append(f"{_plain(one.destination)} {name.removesuffix('_ms')}")
            lines += axes.plot(middle, values, dashes, color=colour, marker=marker, markersize=4)
    axes.set_yscale("log")
    axes.set_ylabel("ms", color=INK)
    axes.legend(
        lines, labels, loc="upper left", bbox_to_anchor=(0, -0.14), ncols=4, frameon=False, labelcolor=INK,
        fontsize=8, borderaxespad=0,
    )  # fmt: skip
    return figure


def _axes(report: Report, line: str, *, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.set_xlim(_num(report.since), _num(report.until))
    locator = AutoDateLocator(maxticks=13)  # type: ignore[no-untyped-call]  # it has no types
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]  # nor has it
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="x", color=line, linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(line)
    return figure, axes


def _legend(axes: Axes, looks: dict[str, tuple[str, str]]) -> None:
    patches = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, label=name)
        for name, (colour, hatch) in looks.items()
    ]
    axes.legend(
        handles=patches, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(patches), frameon=False, labelcolor=INK,
        fontsize=8, borderaxespad=0.2,
    )  # fmt: skip


def _num(moment: datetime) -> float:
    return float(date2num(moment))  # type: ignore[no-untyped-call]  # nor has it


def _plain(name: str) -> str:
    """The beginning of a name, for a library that reads dollar signs as the beginning of a formula."""
    return name[:NAME_CHARS_MAX].replace("$", r"\$")
