"""The demo in plain lines: what is told where there is no terminal to draw on."""

from collections.abc import Callable

from bridge.sim.demo.lines import lines_of, trouble_of
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.scenario import NUMBERED

LINE_EVERY_S = 2.0


class PlainLines:
    """Says a line at every change of stage, and in between now and then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stage: Stage | None = None
        self._said_at_s = 0.0

    def show(self, look: Look) -> None:
        new = look.stage is not self._stage
        if not new and look.elapsed_s - self._said_at_s < LINE_EVERY_S:
            return
        self._stage, self._said_at_s = look.stage, look.elapsed_s
        if new and look.stage is Stage.TRAFFIC and look.page is not None:
            self._say(f"the page, for as long as this goes on: {look.page}")
        self._say(line(look))


def line(look: Look) -> str:
    """Everything that moves, in one line."""
    return _of_markets(look) if look.scenario.followed else _of_the_numbered(look)


def _of_markets(look: Look) -> str:
    names = ", ".join(look.scenario.venues)
    if look.bridge is None:
        return f"starting: {names}, the bridge with a Postgres of its own, the consumer"
    told = [f"{venue} {_moving(look, venue)}" for venue in look.scenario.venues]
    waits = (look.unsettled() or "nothing") if look.stage is Stage.SETTLING else ""
    return (
        f"{look.elapsed_s:5.1f} s  {look.stage:<8}  {'  '.join(told)}"
        + ("  [consumer away]" if look.consumer_away else "")
        + (f"  waiting for {waits}" if waits else "")
    )


def _moving(look: Look, venue: str) -> str:
    """Delivered of assigned, and what is wrong."""
    lines = lines_of(look, venue)
    wrong = [f"{count} gaps open"] if (count := sum(each.open for each in lines)) else []
    wrong += [trouble] if (trouble := trouble_of(look, venue)) else []
    told = f"{sum(each.delivered for each in lines)}/{sum(each.assigned for each in lines)}"
    return told + (f" [{', '.join(wrong)}]" if wrong else "")


def _of_the_numbered(look: Look) -> str:
    stream, cursor = look.stream(NUMBERED), look.cursor(NUMBERED)
    if look.venue is None or stream is None:
        return "starting: the venue, the bridge with a Postgres of its own, the consumer"
    faults = [word for word, on in (("venue down", look.venue.down), ("socket silent", look.venue.silent)) if on]
    if look.consumer_away:
        faults.append("consumer away")
    gaps = ", ".join(f"{look.gaps(state)} {state}" for state in ("open", "recovered", "void", "lost"))
    return (
        f"{look.elapsed_s:5.1f} s  {look.stage:<8}  assigned {look.venue.assigned}"
        f"  proven to {(stream.frontier or 1) - 1} of {max(stream.head, look.venue.head or 0)}  gaps: {gaps}"
        f"  delivered {0 if cursor is None else cursor.position} of {stream.position}"
        + (f"  [{', '.join(faults)}]" if faults else "")
    )
