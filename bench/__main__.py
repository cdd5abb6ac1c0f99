"""``python -m bench [--quick] [--json] [QUESTION ...]``: every question, or the named ones. Prints what came out.

Exit code 0 whether or not targets are met: a machine that others use says little about a promise.
"""

import asyncio
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console

from bench import (
    backfill,
    delivery,
    endtoend,
    fanout,
    machine,
    neighbours,
    outage,
    report,
    retention,
    scrape,
    sockets,
    traces,
    webhooks,
)
from bench.figures import Figure, show


@dataclass(frozen=True, slots=True)
class _Question:
    measure: Callable[..., Coroutine[Any, Any, list[Figure]]]
    full: Any
    quick: Any


QUESTIONS = {
    "webhooks": _Question(webhooks.measure, webhooks.FULL, webhooks.QUICK),
    "delivery": _Question(delivery.measure, delivery.FULL, delivery.QUICK),
    "backfill": _Question(backfill.measure, backfill.FULL, backfill.QUICK),
    "endtoend": _Question(endtoend.measure, endtoend.FULL, endtoend.QUICK),
    "fanout": _Question(fanout.measure, fanout.FULL, fanout.QUICK),
    "neighbours": _Question(neighbours.measure, neighbours.FULL, neighbours.QUICK),
    "outage": _Question(outage.measure, outage.FULL, outage.QUICK),
    "report": _Question(report.measure, report.FULL, report.QUICK),
    "retention": _Question(retention.measure, retention.FULL, retention.QUICK),
    "scrape": _Question(scrape.measure, scrape.FULL, scrape.QUICK),
    "sockets": _Question(sockets.measure, sockets.FULL, sockets.QUICK),
    "traces": _Question(traces.measure, traces.FULL, traces.QUICK),
}


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(prog="bench", description="How fast, as ratios.")
    parser.add_argument("questions", nargs="*", help=f"of {', '.join(QUESTIONS)}; all of them, if none is named")
    parser.add_argument("--quick", action="store_true", help="small numbers: whether it works, not how fast it is")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's counts of the bridge to this file")
    given = parser.parse_args()
    if unknown := sorted(set(given.questions) - QUESTIONS.keys()):
        parser.error(f"no such question: {', '.join(unknown)}")
    console = Console(stderr=given.json)
    figures: list[Figure] = []
    for name in given.questions or QUESTIONS:
        question = QUESTIONS[name]
        console.print(f"measuring {name} ...")
        figures += machine.look(f"before {name}")
        figures += asyncio.run(question.measure(question.quick if given.quick else question.full, given.profile))
    show(figures, console)
    if given.json:
        sys.stdout.write(msgspec.json.encode({"figures": [figure.members() for figure in figures]}).decode() + "\n")


if __name__ == "__main__":
    main()
