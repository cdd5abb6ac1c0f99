"""What a query may hold: known names, each once, and values in their bounds; and what a number in a path may be."""

from collections.abc import Sequence
from datetime import datetime

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request

from bridge.web.problems import BadParameter

TEXT_CHARS_MAX = 256


class _Number(IntegerConvertor):
    """A number in a path. One that is longer than any of ours is none: to read thousands of digits is a fault."""

    regex = "[0-9]{1,19}"


register_url_convertor("int", _Number())


def only(request: Request, *known: str) -> None:
    """Raises BadParameter for a name that is not known here, or given twice."""
    for name in request.query_params:
        if name not in known:
            allowed = f"one of {', '.join(known)}" if known else "none"
            raise BadParameter(name[:64], f"is no parameter here: expected {allowed}")
        if len(request.query_params.getlist(name)) > 1:
            raise BadParameter(name, "is given more than once")


def whole(request: Request, name: str, *, default: int | None, least: int, most: int) -> int | None:
    """A whole number."""
    given = request.query_params.get(name)
    if given is None:
        return default
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(most)) else -1
    if not least <= number <= most:
        raise BadParameter(name, f"must be a whole number from {least} to {most}")
    return number


def limit(request: Request, *, default: int, most: int) -> int:
    """How many at most."""
    found = whole(request, "limit", default=min(default, most), least=1, most=most)
    assert found is not None
    return found


def word(request: Request, name: str, allowed: Sequence[str]) -> str | None:
    """One of a few words."""
    given = request.query_params.get(name)
    if given is not None and given not in allowed:
        raise BadParameter(name, f"must be one of {', '.join(allowed)}")
    return given


def text(request: Request, name: str) -> str | None:
    """Some text that Postgres takes."""
    given = request.query_params.get(name)
    if given is not None and ("\0" in given or len(given) > TEXT_CHARS_MAX):
        raise BadParameter(name, f"must be text of at most {TEXT_CHARS_MAX} characters")
    return given


def moment(request: Request, name: str) -> datetime | None:
    """A time with its zone."""
    given = request.query_params.get(name)
    return None if given is None else moment_of(given, name)


def moment_of(given: object, name: str) -> datetime:
    """Raises BadParameter for what is no time with a zone."""
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else None
        if at is not None and at.utcoffset() is not None:
            return at
    except (ValueError, OverflowError):
        pass
    raise BadParameter(name, "must be a time with its zone, such as 2026-01-31T12:00:00Z")
