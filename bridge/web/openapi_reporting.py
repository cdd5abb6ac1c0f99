"""What the routes of reports take and answer, in OpenAPI."""

from bridge.core.event import SEQUENCE_MAX
from bridge.report.forms import FORMS
from bridge.report.losing import EVIDENCE_CHARS_MAX
from bridge.web.openapi_words import (
    HASH,
    LIMIT,
    MOMENT,
    NUMBER,
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
from bridge.web.reports import EVERYTHING, HOURS_MAX

_DAY: Schema = {
    "type": "string",
    "pattern": "^20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)$",
}
_GLOB: Schema = {"type": "string", "maxLength": 256, "pattern": "^[^\u0000]*$", "default": EVERYTHING}
_COUNTS = ("late", "recovered", "conflicts", "gaps", "superseded", "events")
_LAG = record(
    "How long the frontier stood before a hole or a doubt: at most, and when the time ended. Where the bridge numbers"
    " the events, how far it was behind the venue's time.",
    most_s=NUMBER,
    at_end_s=NUMBER,
)
_TURNS = record(
    "How many gaps opened in the hour, and how many ended in it as what.",
    **dict.fromkeys(("opened", "recovered", "void", "superseded", "lost"), WHOLE),
)
_STATES = ("recovered", "void", "superseded", "lost")
_GAPS = record(
    "Gaps that opened and ended in the period, what is lost, and the time line of both.",
    opened=WHOLE,
    open=WHOLE,
    closed=many(
        record(
            "Gaps that ended alike, and how long after they were opened.",
            state={"type": "string", "enum": list(_STATES)},
            healed_by=or_null(TEXT),
            gaps=WHOLE,
            p50_s=NUMBER,
            p95_s=NUMBER,
            max_s=NUMBER,
        )
    ),
    lost=many(
        record(
            "What is gone for good: from first to last, numbers, or milliseconds since 1970; who says so, and where.",
            epoch=WHOLE,
            first=WHOLE,
            last=WHOLE,
            axis={"type": "string", "enum": ["sequence", "time"]},
            lost=WHOLE,
            closed_at=MOMENT,
            position=or_null(WHOLE),
            evidence={"type": "string", "maxLength": EVIDENCE_CHARS_MAX},
        )
    ),
    lost_more=WHOLE,
    timeline=many(
        record(
            "A gap, as the period left it.",
            opened_at=MOMENT,
            closed_at=or_null(MOMENT),
            state={"type": "string", "enum": [*_STATES, "open"]},
            healed_by=or_null(TEXT),
        )
    ),
    timeline_more=WHOLE,
)
_HEARD = record(
    "Of one transport: told, told first, and repeated, which is told less first: negative where events were stored"
    " that had been told before.",
    told=WHOLE,
    first=WHOLE,
    again={"type": "integer"},
)

SCHEMAS: dict[str, Schema] = {
    "KeptReport": record(
        "A report that is kept as it was made.", id=WHOLE, since=MOMENT, until=MOMENT, made_at=MOMENT, digest=HASH
    ),
    "Counts": record(
        "What a stretch of time came to. Each assigned number is in one class: events, void, lost, or open_more,"
        " which is negative where more was settled than came. Null where the venue numbers nothing.",
        assigned=or_null({"type": "integer"}),
        void=or_null(WHOLE),
        lost=or_null(WHOLE),
        open_more=or_null({"type": "integer"}),
        **dict.fromkeys(_COUNTS, WHOLE),
        **dict.fromkeys(("webhook", "websocket", "replay"), _HEARD),
    ),
    "Standing": record(
        "A stream at the end of an hour.",
        epoch=WHOLE,
        frontier=or_null(WHOLE),
        head=WHOLE,
        open=WHOLE,
        position=WHOLE,
        chain=HASH,
    ),
    "StreamReport": {
        **record(
            "What became of every number of a stream.",
            stream=TEXT,
            source=TEXT,
            numbered_by={"type": "string", "enum": ["venue", "bridge"]},
            complete_percent=or_null(NUMBER),
            why=or_null(TEXT),
            counts=ref("Counts"),
            began=or_null(ref("Standing")),
            ended=or_null(ref("Standing")),
            hours=many(
                record("An hour.", hour=MOMENT, counts=ref("Counts"), standing=ref("Standing"), lag=_LAG, gaps=_TURNS)
            ),
            gaps=_GAPS,
            unmatched=WHOLE,
            lag=_LAG,
            audits=record(
                "The audits that ended in the period: what the venue listed beside what is held.",
                **dict.fromkeys(("passes", "failed", "rows", "fresh", "conflicts", "unlisted"), WHOLE),
                last_at=or_null(MOMENT),
            ),
        ),
    },
    "Deliveries": record(
        "What a destination was sent in a stretch of time. Latencies are bounds from above, to 1.42 times.",
        **dict.fromkeys(("delivered", "first_try", "attempts", "failed", "parked", "expired"), WHOLE),
        p50_ms=or_null(NUMBER),
        p99_ms=or_null(NUMBER),
    ),
    "DestinationReport": record(
        "What became of every entry for a destination.",
        destination=TEXT,
        deliveries=ref("Deliveries"),
        first_try_percent=or_null(NUMBER),
        owed=WHOLE,
        oldest_at=or_null(MOMENT),
        streams=many(
            record(
                "How far it was with a stream.",
                stream=TEXT,
                position=WHOLE,
                chain=or_null(HASH),
                owed=WHOLE,
                oldest_at=or_null(MOMENT),
            )
        ),
        streams_more=WHOLE,
        hours=many(record("An hour.", hour=MOMENT, deliveries=ref("Deliveries"))),
    ),
    "Report": record(
        "A reconciliation report. Its digest is SHA-256 of its JSON with an empty digest.",
        since=MOMENT,
        until=MOMENT,
        streams=many(ref("StreamReport")),
        destinations=many(ref("DestinationReport")),
        digest=HASH,
    ),
}

PATHS: dict[str, Schema] = {
    "/reports": {
        "get": operation(
            "reports",
            "The reports that are kept, the newest first.",
            [query("before", "What next was: older ones.", number(minimum=1, maximum=SEQUENCE_MAX)), LIMIT],
            answers(
                record("A page.", reports=many(ref("KeptReport")), next=or_null(WHOLE)),
                "Reports, and what to go on with.",
                problems={"400": "A parameter cannot be used; the member parameter says which."},
            ),
        )
    },
    "/reports/{day}": {
        "get": operation(
            "report",
            "The report of a day in UTC, or of some hours: as it is kept, or made now.",
            [
                path("day", "The day on which it begins.", _DAY),
                query("hour", "The hour at which it begins.", {"type": "integer", "minimum": 0, "maximum": 23}),
                query("hours", "How many hours.", {"type": "integer", "minimum": 1, "maximum": HOURS_MAX}),
                query("stream", "Only streams with such a name.", _GLOB),
                query("destination", "Only destinations with such a name.", _GLOB),
                query("format", "How it is written.", {"type": "string", "enum": list(FORMS)}),
            ],
            answers(
                ref("Report"),
                "The report.",
                problems={"400": "A parameter cannot be used; the member parameter says which."},
                **{form.media_type.partition(";")[0]: {"schema": TEXT} for form in list(FORMS.values())[1:]},
            ),
        )
    },
}
