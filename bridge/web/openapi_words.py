"""Words to say in OpenAPI what a route takes and answers."""

from collections.abc import Mapping
from typing import Any

from bridge.core.event import SEQUENCE_MAX

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

PROBLEM: Schema = {
    "type": "object",
    "description": "A problem document after RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "parameter": {**TEXT, "description": "With 400: the parameter that cannot be used."},
        "oldest": {**WHOLE, "description": "With 410: the first position that is left."},
    },
}


def ref(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """What may be null as well."""
    if "type" in schema and "$ref" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def record(description: str, **fields: Schema) -> Schema:
    """An object that has all of these fields and no other. ``from_`` is the field ``from``."""
    named = {name.removesuffix("_"): schema for name, schema in fields.items()}
    return {
        "type": "object",
        "description": description,
        "required": list(named),
        "properties": named,
        "additionalProperties": False,
    }


def path(name: str, what: str, schema: Schema | None = None) -> Schema:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "description": what, "schema": schema or TEXT}


def query(name: str, what: str, schema: Schema) -> Schema:
    """A parameter that may be left out."""
    return {"name": name, "in": "query", "required": False, "description": what, "schema": schema}


def header(name: str, what: str) -> Schema:
    """A header that may be left out."""
    return {"name": name, "in": "header", "required": False, "description": what, "schema": TEXT}


def number(**bounds: int) -> Schema:
    """A number as the venue's and positions are."""
    return {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX, **bounds}


LIMIT = query("limit", "How many at most.", {"type": "integer", "minimum": 1, "default": 100})


def answers(schema: Schema, what: str, *, problems: Mapping[str, str] | None = None, **others: Schema) -> Schema:
    """Responses: 200 with ``schema``, and ``problems`` by status. ``others`` are further media types of the 200."""
    content: Schema = {"application/json": {"schema": schema}} | others
    told: Schema = {"200": {"description": what, "content": content}}
    for status, why in (problems or {}).items():
        told[status] = {"description": why, "content": {"application/problem+json": {"schema": ref("Problem")}}}
    return told


def operation(name: str, what: str, parameters: list[Schema], responses: Schema) -> Schema:
    """An operation; ``name`` is what a generated client calls it."""
    return {"operationId": name, "summary": what, "parameters": parameters, "responses": responses}
