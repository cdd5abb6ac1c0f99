"""What the routes of destinations take and answer, in OpenAPI: their policies, what they parked, and who did what."""

from typing import Any

from bridge.config.shapes import Policy
from bridge.operate.policies import OWN
from bridge.web.openapi_words import (
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

_NAME = path("name", "The destination's name.")
_PLACE = [
    _NAME,
    path("stream", "The stream's name, such as pb.events."),
    path("position", "The entry's position in the stream's log.", number()),
]
_BEFORE = query("before", "Continue behind this one: next of the page before.", number(minimum=1))
_KEY = header("Idempotency-Key", "The same key with the same request is answered as it was the first time.")
_OVERLAP: Schema = {"type": "number", "minimum": 0, "description": "Seconds in which the former secret is good too."}
_REASON: Schema = {"type": "string", "minLength": 1, "maxLength": 500}

_BAD = {"400": "A parameter cannot be used; the member parameter says which."}
_ABSENT = {**_BAD, "404": "There is nothing of that name."}
_REFUSED = {
    **_ABSENT,
    "409": "It cannot be done as things stand: the detail says why.",
    "413": "The body is larger than 64 KiB.",
    "422": "The body cannot be used; the member problems says what of it, field by field.",
}
_POLICY: Schema = {
    name: {key: value for key, value in schema.items() if key not in ("title", "default")}
    for name, schema in Policy.model_json_schema()["properties"].items()
}
_OWN: Schema = {
    "url": {"type": "string", "description": "Where to post to; https only."},
    "secret": {
        "description": "A whsec_ key, or several, the newest first. One is made where none is given.",
        "anyOf": [TEXT, many(TEXT)],
    },
}
assert _OWN.keys() == set(OWN)

_HEALTH = record(
    "How it goes, over all of its streams.",
    behind=WHOLE,
    oldest_undelivered_at=or_null(MOMENT),
    oldest_undelivered_age_s=or_null(NUMBER),
    failures=WHOLE,
    failing_since=or_null(MOMENT),
    next_try_at=or_null(MOMENT),
    parked=WHOLE,
    delivered_per_minute={**NUMBER, "description": "Over this hour and the one before."},
)
_DESTINATION: dict[str, Schema] = {
    "name": TEXT,
    "origin": {"type": "string", "enum": ["file", "api"]},
    "configured": {"type": "boolean", "description": "Whether anybody knows where it is."},
    "state": {"type": "string", "enum": ["active", "paused", "stopped"]},
    "reason": or_null(TEXT),
    "version": WHOLE,
    "changed_at": MOMENT,
    "url": or_null({**TEXT, "description": "Without what in it may be a credential."}),
    "secrets": many(record("A secret that is good, and until when.", until=or_null(MOMENT))),
    "policy": {"type": "object"},
    "health": _HEALTH,
}
_DETAILED = {**_DESTINATION, "streams": many(ref("DestinationStream")), "next": TEXT}

SCHEMAS: dict[str, Schema] = {
    "Destination": record("A destination and its health.", **_DESTINATION),
    "DestinationInDetail": record("A destination, and how it stands on a page of its streams.", **_DETAILED),
    "DestinationWithSecret": {
        **(made := record("A destination; the secret is there if it was made here.", **_DETAILED)),
        "properties": {**made["properties"], "secret": TEXT},
    },
    "DestinationStream": record(
        "How far a destination is on one stream. expired was deleted before it took it, and it was not told yet.",
        stream=TEXT,
        position=WHOLE,
        head=WHOLE,
        behind=WHOLE,
        failures=WHOLE,
        failing_since=or_null(MOMENT),
        last_error=or_null(TEXT),
        next_try_at=MOMENT,
        oldest_at=or_null(MOMENT),
        expired=or_null(record("Positions, both inclusive.", first=WHOLE, last=WHOLE)),
    ),
    "DestinationPage": record("Some destinations.", destinations=many(ref("Destination")), next=TEXT),
    "Parked": record(
        "An entry that was laid aside.",
        stream=TEXT,
        position=WHOLE,
        state={"type": "string", "enum": ["parked", "due", "redelivered", "discarded"]},
        attempts=WHOLE,
        status=or_null(WHOLE),
        error=or_null(TEXT),
        parked_at=MOMENT,
        ended_at=or_null(MOMENT),
        ended_by=or_null(TEXT),
        reason=or_null(TEXT),
    ),
    "ParkedPage": record("Some of them.", parked=many(ref("Parked")), next=or_null(TEXT)),
    "Deed": record(
        "What somebody did.", id=WHOLE, at=MOMENT, actor=TEXT, action=TEXT, subject=TEXT, detail={"type": "object"}
    ),
    "AuditPage": record("Some of them.", audit=many(ref("Deed")), next=or_null(WHOLE)),
}


def _body(**fields: Schema) -> Schema:
    """An object of which every field may be left out."""
    return {"type": "object", "properties": fields, "additionalProperties": False}


def _act(
    name: str, what: str, responses: Schema, body: Schema | None = None, parameters: list[Schema] | None = None
) -> Schema:
    """An operation that changes something."""
    told = operation(name, what, [*(parameters or [_NAME]), _KEY], responses)
    content = {"application/json": {"schema": body or _body()}}
    return {**told, "requestBody": {"required": False, "content": content}}


def _done(schema: Schema, what: str, status: str = "200") -> Schema:
    told = answers(schema, what, problems=_REFUSED)
    told[status] = told.pop("200")
    return told


_AS_IT_IS = _done(ref("DestinationInDetail"), "The destination as it is now.")
_WITH_SECRET = ref("DestinationWithSecret")

PATHS: dict[str, Any] = {
    "/destinations": {
        "get": operation(
            "listDestinations",
            "Destinations by name.",
            [query("after", "Those behind this name.", TEXT), LIMIT],
            answers(ref("DestinationPage"), "A page.", problems=_BAD),
        ),
        "post": _act(
            "createDestination",
            "Make a destination.",
            _done(_WITH_SECRET, "It is there; a secret that was made is told here and never again.", "201"),
            {**_body(name=TEXT, **_OWN, **_POLICY), "required": ["name", "url"]},
            [],
        ),
    },
    "/destinations/{name}": {
        "get": operation(
            "readDestination",
            "One destination.",
            [
                _NAME,
                query("after", "Its streams behind this name.", TEXT),
                query("limit", "How many of its streams at most.", {**number(), "minimum": 1, "default": 1000}),
            ],
            answers(ref("DestinationInDetail"), "The destination.", problems=_ABSENT),
        ),
        "patch": _act("updateDestination", "Change the given fields.", _AS_IT_IS, _body(**_OWN, **_POLICY)),
        "delete": _act(
            "deleteDestination",
            "Forget it, how far it was, and what it parked.",
            {**{k: v for k, v in _AS_IT_IS.items() if k != "200"}, "204": {"description": "It is gone."}},
        ),
    },
    "/destinations/{name}/pause": {
        "post": _act("pauseDestination", "Deliver nothing more.", _AS_IT_IS, _body(reason=_REASON))
    },
    "/destinations/{name}/resume": {
        "post": _act("resumeDestination", "Deliver again, from where it stopped.", _AS_IT_IS)
    },
    "/destinations/{name}/rewind": {
        "post": _act(
            "rewindDestination",
            "Deliver again from a position, a sequence, a time, or the beginning.",
            _done(record("By stream.", moved={}), "What was moved."),
            _body(
                stream=_REASON,
                position=number(),
                sequence=number(),
                epoch=number(),
                time=MOMENT,
                beginning={"type": "boolean"},
            ),
        )
    },
    "/destinations/{name}/test": {
        "post": _act(
            "testDestination",
            "Send a signed bridge.test at once.",
            _done({"type": "object"}, "What was answered."),
        )
    },
    "/destinations/{name}/rotate": {
        "post": _act(
            "rotateSecret",
            "Sign with a new secret, and with the former one for a while.",
            _done(_WITH_SECRET, "The destination."),
            _body(secret=TEXT, overlap_s=_OVERLAP),
        )
    },
    "/destinations/{name}/attempts": {
        "get": operation(
            "listAttempts",
            "Attempts to deliver, the newest first.",
            [
                _NAME,
                _BEFORE,
                LIMIT,
                query("stream", "Of this stream.", TEXT),
                query("position", "That carried this position.", number(minimum=1)),
                query("outcome", "That ended so.", {"type": "string", "enum": ["accepted", "refused", "unknown"]}),
                query("since", "That ended at this time or later.", MOMENT),
                query("until", "That began before this time.", MOMENT),
            ],
            answers(
                record("A page.", attempts=many({"type": "object"}), next=or_null(WHOLE)), "A page.", problems=_ABSENT
            ),
        )
    },
    "/destinations/{name}/parked": {
        "get": operation(
            "listParked",
            "Entries that were laid aside, by stream and position.",
            [
                _NAME,
                query("after", "Continue behind: next of the page before.", TEXT),
                LIMIT,
                query("state", "Those in this state.", SCHEMAS["Parked"]["properties"]["state"]),
            ],
            answers(ref("ParkedPage"), "A page.", problems=_ABSENT),
        )
    },
    "/destinations/{name}/parked/redeliver": {
        "post": _act(
            "redeliverAll",
            "Send everything again that is parked.",
            _done(record("How many.", entries=WHOLE), "They will be sent.", "202"),
        )
    },
    "/destinations/{name}/parked/{stream}/{position}": {
        "get": operation("readParked", "One entry.", _PLACE, answers(ref("Parked"), "The entry.", problems=_ABSENT))
    },
    "/destinations/{name}/parked/{stream}/{position}/redeliver": {
        "post": _act(
            "redeliver", "Send it again.", _done(ref("Parked"), "It will be sent.", "202"), parameters=_PLACE
        )
    },
    "/destinations/{name}/parked/{stream}/{position}/discard": {
        "post": _act(
            "discard",
            "Give it up for good.",
            _done(ref("Parked"), "The entry."),
            {**_body(reason=_REASON), "required": ["reason"]},
            _PLACE,
        )
    },
    "/audit": {
        "get": operation(
            "listAudit",
            "What operators did, the newest first.",
            [_BEFORE, LIMIT, query("subject", "Concerning this one.", TEXT)],
            answers(ref("AuditPage"), "A page.", problems=_BAD),
        )
    },
}
