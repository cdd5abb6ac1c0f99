"""How the bridge speaks of itself: one wide line per outcome, JSON for machines and readable on a terminal.

Libraries speak through the same lines, from warnings up. No traceback holds the values of variables: they may be
secrets or a customer's payload.
"""

import json
import logging
import sys
from collections.abc import Mapping
from typing import TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.core.errors import ConfigError

LEVELS = ("debug", "info", "warning", "error")
KEY = "LOG_LEVEL"
LINE_CHARS_MAX = 32_768
FIRST = ("at", "level", "event")

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
)


def configure(level: str = "info", *, stream: TextIO | None = None, pretty: bool | None = None) -> None:
    """Set up logging for this process.

    Args:
        level: one of LEVELS, in any case.
        stream: where lines go; None means standard output.
        pretty: readable lines rather than JSON; None means if ``stream`` is a terminal.

    Raises:
        ConfigError: ``level`` is none.
    """
    if level.lower() not in LEVELS:
        raise ConfigError(f"{KEY}: must be one of {', '.join(LEVELS)}")
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = stream or sys.stdout
    pretty = stream.isatty() if pretty is None else pretty
    rendering = _pretty() if pretty else _json()
    structlog.configure(
        processors=[*_SHARED, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(max(number, logging.WARNING), stream, rendering)


def _json() -> tuple[Processor, ...]:
    return (structlog.processors.format_exc_info, _event_first, _as_json)


def _pretty() -> tuple[Processor, ...]:
    # Plain, because the other forms show what the variables held.
    return (structlog.dev.ConsoleRenderer(timestamp_key="at", exception_formatter=structlog.dev.plain_traceback),)


def _event_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The order a reader looks for: when, how bad, what; then the rest."""
    first = {name: event.pop(name) for name in FIRST if name in event}
    return {**first, **event}


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    line = _dumped(event)
    if len(line) <= LINE_CHARS_MAX:
        return line
    return _dumped({name: event[name] for name in FIRST if name in event} | {"cut": line[:LINE_CHARS_MAX]})


def _dumped(event: Mapping[str, object]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except (UnicodeError, OverflowError):  # half a character, or a number beyond 64 bits: slower, but it is told
        return json.dumps(event, default=repr)


def _adopt_libraries(level: int, stream: TextIO, rendering: tuple[Processor, ...]) -> None:
    """Let what libraries log through the standard way come out as our lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
