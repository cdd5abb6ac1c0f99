"""What the API is, as OpenAPI 3.1: put together from what stands beside the routes.

``PARTS`` are modules with ``PATHS`` (a path below ``/v1`` to its operations) and ``SCHEMAS`` (a name to its schema).
A module of routes that joins has both of its own, made with the words of ``openapi_words``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bridge import __version__
from bridge.web import openapi_gaps, openapi_operating, openapi_reading, openapi_reporting
from bridge.web.openapi_words import PROBLEM, Schema


class Part(Protocol):
    """A module that says what its routes are."""

    @property
    def PATHS(self) -> Mapping[str, Any]: ...  # noqa: N802 - a constant of a module
    @property
    def SCHEMAS(self) -> Mapping[str, Schema]: ...  # noqa: N802 - a constant of a module


PARTS: Sequence[Part] = (openapi_reading, openapi_gaps, openapi_operating, openapi_reporting)

_OFTEN: Mapping[str, str] = {
    "401": "A token is needed, and none that is good was borne.",
    "403": "The token's scope does not reach so far; or without a token somebody else than this machine called.",
    "503": "Too much is asked for at once, or the database is away: try again after Retry-After.",
}
"""What every operation may answer."""


def document(*, page_max: int) -> dict[str, Any]:
    """The document. ``page_max`` is what a page may hold here."""
    schemas: dict[str, Schema] = {"Problem": PROBLEM}
    paths: dict[str, Any] = {}
    for part in PARTS:
        schemas |= part.SCHEMAS
        paths |= {path: _operations(found, page_max) for path, found in part.PATHS.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The bridge",
            "version": __version__,
            "description": "Every event of a venue, once, in order, proven gap-free.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/v1"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def _operations(found: Mapping[str, Any], page_max: int) -> dict[str, Any]:
    return {
        method: {
            **operation,
            "parameters": [_bounded(one, page_max) for one in operation.get("parameters", ())],
            "responses": operation["responses"] | {status: _problem(why) for status, why in _OFTEN.items()},
        }
        for method, operation in found.items()
    }


def _bounded(parameter: Mapping[str, Any], page_max: int) -> Mapping[str, Any]:
    """The parameter; how much a page holds is a setting."""
    if (parameter["name"], parameter["in"]) != ("limit", "query"):
        return parameter
    schema = parameter["schema"]
    return {**parameter, "schema": {**schema, "maximum": page_max, "default": min(schema["default"], page_max)}}


def _problem(why: str) -> dict[str, Any]:
    return {
        "description": why,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
