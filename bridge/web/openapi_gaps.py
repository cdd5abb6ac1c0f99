"""What the routes of gaps take and answer, in OpenAPI."""

from bridge.web.openapi_reading import ABSENT, AXIS, BAD, PLACED, STREAM
from bridge.web.openapi_words import (
    LIMIT,
    MOMENT,
    TEXT,
    WHOLE,
    Schema,
    answers,
    many,
    number,
    operation,
    or_null,
    path,
    query,
    record,
    ref,
)

SCHEMAS: dict[str, Schema] = {
    "Gap": record(
        "What was missing for longer than its grace, and how that ended. Both ends are inclusive.",
        **PLACED,
        id=WHOLE,
        epoch=WHOLE,
        axis=AXIS,
        state={"type": "string", "enum": ["open", "recovered", "void", "superseded", "lost"]},
        opened_at=MOMENT,
        deadline_at=or_null(MOMENT),
        reads=WHOLE,
        withheld=or_null(TEXT),
        closed_at=or_null(MOMENT),
        found=WHOLE,
        lost=WHOLE,
        healed_by=or_null(TEXT),
    ),
    "Evidence": record(
        "What is on record of a span: proven complete, or lost. A proof is refuted by an event that it had missed.",
        id=WHOLE,
        first={"type": "integer"},
        last={"type": "integer"},
        verdict={"type": "string", "enum": ["proof", "loss"]},
        detail={"type": "object"},
        recorded_at=MOMENT,
        refuted_at=or_null(MOMENT),
    ),
    "Read": record(
        "A read of the venue that concerned a gap. since is exclusive, null for the oldest that is retained; upto is"
        " null for all there is; reached is null where nothing was answered, and then error may say why.",
        at=MOMENT,
        why=TEXT,
        since=or_null({"type": "integer"}),
        upto=or_null({"type": "integer"}),
        reached=or_null({"type": "integer"}),
        pages=WHOLE,
        rows=WHOLE,
        fresh=WHOLE,
        proven_first=or_null({"type": "integer"}),
        proven_last=or_null({"type": "integer"}),
        withheld=or_null(TEXT),
        error=or_null(TEXT),
        id=WHOLE,
    ),
}

PATHS: dict[str, Schema] = {
    "/streams/{stream}/gaps": {
        "get": operation(
            "gaps",
            "Gaps in the order they were opened.",
            [
                STREAM,
                query("after", "What next was: those that follow.", number(default=0)),
                LIMIT,
                query("open", "Only open ones.", {"type": "boolean", "default": False}),
            ],
            answers(record("A page.", gaps=many(ref("Gap")), next=WHOLE), "Gaps, and what follows.", problems=ABSENT),
        )
    },
    "/streams/{stream}/gaps/{gap}": {
        "get": operation(
            "gap",
            "One gap, what is on record of its span, and every read that was tried for it, the newest first.",
            [
                STREAM,
                path("gap", "The gap's id.", WHOLE),
                query("before", "What next was: older reads.", number(minimum=1)),
                LIMIT,
            ],
            answers(
                record(
                    "A gap in full.",
                    gap=ref("Gap"),
                    evidence=many(ref("Evidence")),
                    reads=many(ref("Read")),
                    next=or_null(WHOLE),
                ),
                "The gap.",
                problems={**BAD, "404": "There is no such stream, or no such gap of it."},
            ),
        )
    },
}
