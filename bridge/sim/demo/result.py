"""The one line of JSON that a demo ends with."""

import json

from bridge.sim.demo.course import Ended
from bridge.sim.demo.parts import ConsumerState
from bridge.sim.demo.scenario import NUMBERED, SOCKETED


def result_line(ended: Ended) -> str:
    """``heard`` counts every telling, ``gaps`` count spans, ``duplicates`` what came to the consumer again."""
    look, verdict = ended.look, ended.verdict
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
