"""The one line of JSON that a demo ends with."""

import json
from dataclasses import asdict

from bridge.sim.demo.course import Ended
from bridge.sim.demo.lines import lines_of
from bridge.sim.demo.parts import ConsumerState
from bridge.sim.demo.scenario import NUMBERED, SOCKETED


def result_line(ended: Ended) -> str:
    """What came of the demo: of the numbered venue alone, or of each channel of several."""
    return _of_channels(ended) if ended.look.scenario.followed else _of_the_numbered(ended)


def _of_channels(ended: Ended) -> str:
    """Each venue's channels with their counts; ``problems`` are all there are, none where all is proven."""
    look = ended.look
    members = {
        "venues": {
            venue: {line.stream: asdict(line) for line in lines_of(look, venue, ended.verdict)}
            for venue in look.scenario.venues
        },
        "proven": ended.good,
        "problems": ended.problems,
        "unsettled": ended.unsettled,
        "seconds": round(ended.seconds, 1),
    }
    return json.dumps(members, separators=(",", ":"))


def _of_the_numbered(ended: Ended) -> str:
    """``heard`` counts every telling, ``gaps`` count spans, ``duplicates`` what came to the consumer again."""
    look, verdict = ended.look, ended.verdict
    assert verdict is not None
    consumer = look.consumer or ConsumerState(0, 0, 0, {})
    closed = {state: look.gaps(state) for state in ("recovered", "void", "lost")}
    still_open = look.gaps("open")
    return json.dumps(
        {
            "assigned": verdict.assigned,
            "heard": {
                "webhook": look.heard(NUMBERED, "webhook")[0],
                "websocket": look.heard(SOCKETED, "websocket")[0],
                "replay": look.heard(NUMBERED, "replay")[0],
            },
            "gaps": {"opened": sum(closed.values()) + still_open, **closed, "open": still_open},
            "delivered": verdict.delivered,
            "out_of_order": verdict.out_of_order,
            "missing": verdict.missing,
            "duplicates": consumer.of(NUMBERED).duplicates,
            "signature_failures": consumer.signature_failures,
            "seconds": round(ended.seconds, 1),
        },
        separators=(",", ":"),
    )
