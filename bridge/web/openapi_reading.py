"""What the reading routes take and answer, in OpenAPI: streams, the log, digests and coverage."""

from bridge.core.event import SEQUENCE_MAX, Kind, Transport
from bridge.web.openapi_words import (
    HASH,
    LIMIT,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    answers,
    header,
    many,
    number,
    operation,
    or_null,
    path,
    query,
    record,
    ref,
)

STREAM = path("stream", "The stream's name, such as pb.events.")
_TOKEN: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{39}$"}
_AFTER = query("after", "Begin after this position.", number(default=0))
BAD = {"400": "A parameter cannot be used; the member parameter says which."}
ABSENT = {**BAD, "404": "There is no such stream."}
_PULLED = {
    **ABSENT,
    "409": "The log is not the one that was read up to the token: it was restored or rewritten since.",
    "410": "What is wanted next was deleted; the member oldest is the first position that is left.",
    "500": "The log is broken; the detail says where.",
}
AXIS: Schema = {"type": "string", "enum": ["sequence", "time"]}

PLACED: dict[str, Schema] = {
    "first": {"type": "integer"},
    "last": {"type": "integer"},
    "from_": or_null(MOMENT),
    "to": or_null(MOMENT),
}
"""A span on the stream's axis: numbers, or milliseconds since 1970 with the times that these are."""

SCHEMAS: dict[str, Schema] = {
    "Stream": record(
        "A stream as it stands. What has no meaning for it is null.",
        stream=TEXT,
        source=TEXT,
        numbering={"type": "string", "enum": ["venue", "bridge"]},
        axis=AXIS,
        epoch=WHOLE,
        base=or_null(WHOLE),
        frontier=or_null(WHOLE),
        head=WHOLE,
        lag=or_null(WHOLE),
        position=WHOLE,
        chain=HASH,
        completeness=or_null({"type": "number", "minimum": 0, "maximum": 1}),
        reason=or_null(TEXT),
        model=or_null(TEXT),
        repair=or_null(TEXT),
        reach=or_null(TEXT),
        unnoticed=or_null(TEXT),
        state=or_null(TEXT),
        detail=or_null(TEXT),
        settled_until=or_null(MOMENT),
        last_number=or_null(WHOLE),
        dropped=or_null(WHOLE),
        gaps_open=WHOLE,
        oldest_gap_at=or_null(MOMENT),
        nearest_deadline_at=or_null(MOMENT),
        settle_s=NUMBER,
        unmatched=WHOLE,
        anchored_at=or_null(MOMENT),
        stalled_at=or_null(MOMENT),
        suspect_at=or_null(MOMENT),
    ),
    "Entry": record(
        "An entry of the log, as it is delivered. Its data is what the venue said, byte for byte.",
        type=TEXT,
        timestamp=MOMENT,
        stream=TEXT,
        position=number(minimum=1),
        previous=WHOLE,
        kind={"type": "string", "enum": [kind.value for kind in Kind]},
        epoch=number(minimum=1),
        sequence=or_null(WHOLE),
        id=TEXT,
        key=TEXT,
        transport={"enum": [*(transport.value for transport in Transport), None]},
        received_at=MOMENT,
        digest=HASH,
        chain=HASH,
        data={},
    ),
    "Content": record(
        "The numbered entries of a stretch, in any order: SHA-256 of `epoch:sequence:` and the 32 bytes of each"
        " digest, put together by exclusive or. Stretches side by side add up in the same way. It goes over a"
        " bounded number of entries; next is where to go on, null where everything that was asked for is in.",
        from_=WHOLE,
        to=WHOLE,
        count=WHOLE,
        digest=HASH,
        next=or_null(WHOLE),
    ),
    "Digest": record(
        "What a stretch comes to. By position, the chain value at its end commits to everything up to there.",
        stream=TEXT,
        by={"type": "string", "enum": ["position", "sequence"]},
        epoch=or_null(WHOLE),
        from_=WHOLE,
        to=WHOLE,
        count=or_null(WHOLE),
        chain_before=or_null(HASH),
        chain=or_null(HASH),
        content=ref("Content"),
    ),
    "Span": record("A span that is proven complete; in time its end is not in it.", **PLACED),
    "Loss": record(
        "A span that is gone for good, but for what was found of it; detail is the evidence.",
        **PLACED,
        found=WHOLE,
        detail={"type": "object"},
        recorded_at=or_null(MOMENT),
    ),
    "OpenGap": record(
        "A span that is still asked for.",
        **PLACED,
        id=WHOLE,
        opened_at=MOMENT,
        deadline_at=or_null(MOMENT),
        reads=WHOLE,
        withheld=or_null(TEXT),
    ),
    "Coverage": record(
        "What is proven of a stream's present epoch, from since on.",
        stream=TEXT,
        axis=AXIS,
        epoch=WHOLE,
        base=or_null(WHOLE),
        frontier=or_null(WHOLE),
        head=or_null(WHOLE),
        settled_until=or_null(MOMENT),
        limits=record(
            "Which losses nobody could notice, how far back the venue can be asked, and how long a proof waits.",
            completeness=or_null(NUMBER),
            reason=or_null(TEXT),
            unnoticed=or_null(TEXT),
            model=or_null(TEXT),
            repair=or_null(TEXT),
            reach=or_null(TEXT),
            settle_s=NUMBER,
        ),
        since=or_null({"type": "integer"}),
        proven=many(ref("Span")),
        lost=many(ref("Loss")),
        gaps=many(ref("OpenGap")),
        next=or_null({"type": "integer"}),
    ),
}

_EVENTS = {"text/event-stream": {"schema": TEXT}}

PATHS: dict[str, Schema] = {
    "/openapi.json": {
        "get": operation("openapi", "This document.", [], answers({"type": "object"}, "The document.", problems=BAD))
    },
    "/streams": {
        "get": operation(
            "streams",
            "Every stream as it stands.",
            [],
            answers(record("Streams by name.", streams=many(ref("Stream"))), "The streams.", problems=BAD),
        )
    },
    "/streams/{stream}": {
        "get": operation(
            "stream",
            "One stream as it stands.",
            [STREAM],
            answers(ref("Stream"), "The stream.", problems=ABSENT),
        )
    },
    "/streams/{stream}/log": {
        "get": operation(
            "log",
            "The log as it is delivered: a page of it, or every entry as it comes.",
            [
                STREAM,
                _AFTER,
                query("token", "In place of after: where a page or an event said to go on.", _TOKEN),
                LIMIT,
                header("Last-Event-ID", "With an event stream: the id of the last event, in place of both."),
            ],
            answers(
                record("A page.", entries=many(ref("Entry")), next=WHOLE, next_token=or_null(_TOKEN)),
                "Entries, and what to go on with. An event stream where that is accepted by name.",
                problems=_PULLED,
                **_EVENTS,
            ),
        )
    },
    "/streams/{stream}/digest": {
        "get": operation(
            "digest",
            "What a stretch of the log comes to, to compare it.",
            [
                STREAM,
                query("from", "The first position or number; else the oldest.", number(minimum=1)),
                query("to", "The last one; else the newest.", number(minimum=1, maximum=SEQUENCE_MAX)),
                query("by", "What from and to count.", {"type": "string", "enum": ["position", "sequence"]}),
                query("epoch", "With by=sequence: whose numbers.", number(minimum=1, maximum=2**31 - 1)),
            ],
            answers(
                ref("Digest"), "The digest.", problems={**ABSENT, "410": "The stretch begins before what is left."}
            ),
        )
    },
    "/streams/{stream}/coverage": {
        "get": operation(
            "coverage",
            "What is proven, what is lost, what is still asked for, and what could go unnoticed.",
            [STREAM, query("below", "What next was: lower numbers.", number()), LIMIT],
            answers(ref("Coverage"), "The coverage.", problems=ABSENT),
        )
    },
}
