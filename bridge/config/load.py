"""From the environment and the file to Settings, naming every problem at once.

No problem's text holds a value that was given: what is wrong may be a secret in the wrong place.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from bridge.config.alerts import CHANNELS, RESERVED, Alerts
from bridge.config.database import database_url
from bridge.config.settings import ENVIRONMENT, VENUES, Settings
from bridge.config.shapes import Destination, Limits, Reports, Retention, Shape, Traces
from bridge.core.errors import ConfigError

CONFIG_KEY = "BRIDGE_CONFIG"
CONFIG_DEFAULT = Path("bridge.toml")
CONFIG_BYTES_MAX = 1024 * 1024
TABLES = ("bridge", "retention", "reports", "alerts", "traces", "sources", "destinations")
NAME = re.compile(r"[a-z0-9_-]{1,64}")
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
UNKNOWN_KEY = "is no key known here"

Table = dict[str, Any]
Steps = tuple[str | int, ...]
S = TypeVar("S", bound=Shape)


def load_settings(environ: Mapping[str, str], *, config_path: Path | None = None) -> Settings:
    """The settings that ``environ`` and the file say.

    Args:
        environ: the environment's variables; an empty one counts as not set.
        config_path: the file, in place of BRIDGE_CONFIG or bridge.toml. A file that nobody named may be missing.

    Raises:
        ConfigError: with all problems of both, each with its key.
    """
    loading = _Loading({name: value for name, value in environ.items() if value.strip()})
    file = loading.file(config_path)
    values = loading.environment()
    values["limits"] = loading.build(Limits, loading.table(file, "bridge"), ("bridge",))
    values["retention"] = loading.build(Retention, loading.table(file, "retention"), ("retention",))
    values["reports"] = loading.build(Reports, loading.table(file, "reports"), ("reports",))
    values["traces"] = loading.build(Traces, loading.table(file, "traces"), ("traces",))
    values["sources"] = {
        name: loading.chosen(VENUES, "venue", ("sources", name), table)
        for name, table in loading.named(file, "sources")
    }
    values["alerts"] = _alerts(loading, loading.table(file, "alerts"), values["sources"])
    values["destinations"] = {
        name: loading.build(Destination, {**table, "name": name}, ("destinations", name))
        for name, table in loading.named(file, "destinations")
    }
    for name, made in values["destinations"].items():
        if made is not None and urlsplit(made.url).scheme == "http" and not made.allow_private:
            loading.problem(f"destinations.{name}.url", "must start with https:// where allow_private is not set")
    settings = loading.build(Settings, values, ())
    if loading.problems or settings is None:
        raise ConfigError(*sorted(loading.problems))
    return settings


def _alerts(loading: "_Loading", table: Table, sources: Table) -> Alerts | None:
    """The table ``[alerts]`` with its channels, each of the shape that its type has."""
    channels = {
        name: loading.chosen(CHANNELS, "type", ("alerts", "channels", name), inner)
        for name, inner in loading.named(table, "channels", at=("alerts",))
    }
    if RESERVED in channels:
        loading.problem(f"alerts.channels.{RESERVED}", "is the name of the channel that is always there")
    for name in loading.table(table, "silent_sources_s", at=("alerts",)):
        if name not in sources:
            loading.problem(f"alerts.silent_sources_s.{name}", "is no source of this file")
    rest = {key: value for key, value in table.items() if key != "channels"}
    return loading.build(Alerts, rest | {"channels": {n: one for n, one in channels.items() if one}}, ("alerts",))


class _Loading:
    """One pass over what is given; ``problems`` grows as it goes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._unresolved: set[str] = set()
        self.problems: set[str] = set()

    def problem(self, key: str, what: str) -> None:
        self.problems.add(f"{key}: {what}")

    def environment(self) -> Table:
        values: Table = {field: self._environ[name] for name, field in ENVIRONMENT.items() if name in self._environ}
        try:
            values["database_url"] = database_url(self._environ)
        except ConfigError as error:
            self.problems.update(error.problems)
        return values

    def file(self, named: Path | None) -> Table:
        """The file's tables, references resolved."""
        if named is None and CONFIG_KEY in self._environ:
            named = Path(self._environ[CONFIG_KEY])
        path = named or CONFIG_DEFAULT
        if named is None and not path.exists():
            return {}
        try:
            with path.open("rb") as opened:
                text = opened.read(CONFIG_BYTES_MAX + 1)
            if len(text) > CONFIG_BYTES_MAX:
                raise OSError(f"is larger than {CONFIG_BYTES_MAX} bytes")
            tables = tomllib.loads(text.decode())
        except OSError as error:
            self.problem(CONFIG_KEY, f"{path} cannot be read: {error.strerror or error}")
            return {}
        except UnicodeDecodeError:
            self.problem(CONFIG_KEY, f"{path} is not UTF-8")
            return {}
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at [^()]*\)$", str(error))
            self.problem(CONFIG_KEY, f"{path} is not valid TOML {where.group() if where else ''}".rstrip())
            return {}
        for key in tables.keys() - set(TABLES):
            self.problem(key, f"{UNKNOWN_KEY}; the tables are {', '.join(TABLES)}")
        return {key: self._resolve(tables[key], (key,)) for key in TABLES if key in tables}

    def _resolve(self, value: Any, at: Steps) -> Any:
        """``value`` with every ``${NAME}`` in its texts replaced; emptied where NAME is not set."""
        if isinstance(value, dict):
            return {key: self._resolve(inner, (*at, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._resolve(inner, (*at, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        missing = [name for name in REFERENCE.findall(value) if name not in self._environ]
        for name in missing:
            self.problem(_dotted(at), f"refers to ${{{name}}}, which is not set in the environment")
        if "${" in REFERENCE.sub("", value):
            self.problem(_dotted(at), "holds a ${ that begins no ${NAME}")
        if missing:
            self._unresolved.add(_dotted(at))
            return ""
        return REFERENCE.sub(lambda found: self._environ[found[1]], value)

    def table(self, within: Table, key: str, *, at: Steps = ()) -> Table:
        table = within.get(key, {})
        if isinstance(table, dict):
            return table
        self.problem(_dotted((*at, key)), "must be a table")
        return {}

    def named(self, within: Table, kind: str, *, at: Steps = ()) -> Iterator[tuple[str, Table]]:
        """The tables under ``kind`` by their names."""
        tables = self.table(within, kind, at=at)
        for name in tables:
            key = _dotted((*at, kind, name))
            table = self.table(tables, name, at=(*at, kind))
            if not NAME.fullmatch(name):
                self.problem(key, "a name is made of a-z, 0-9, _ and -, at most 64 of them")
            if "name" in table:
                self.problem(f"{key}.name", UNKNOWN_KEY)
            yield name, table

    def chosen(self, shapes: Mapping[str, type[S]], key: str, at: Steps, table: Table) -> S | None:
        """The table in the one of ``shapes`` that its ``key`` names; its own name is the last step of ``at``."""
        choice = table.get(key)
        if isinstance(choice, str) and choice in shapes:
            return self.build(shapes[choice], {**table, "name": at[-1]}, at)
        if _dotted((*at, key)) not in self._unresolved:
            self.problem(
                _dotted((*at, key)),
                "is missing" if choice is None else f"must be one of {', '.join(shapes)}",
            )
        return None

    def build(self, shape: type[S], table: Table, at: Steps) -> S | None:
        """``table`` as a ``shape``; None with its problems noted if it is none."""
        try:
            return shape.model_validate(table)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self._note(table, at, found["loc"], found["type"], found["msg"])
            return None

    def _note(self, table: Table, at: Steps, loc: Steps, kind: str, text: str) -> None:
        where = _given(table, loc)
        if at == () and where and where[0] in ("limits", *TABLES):
            return  # noted when that part was built
        key = _dotted((*at, *where)) if at else _variable(str(where[0]))
        if any(key == known or key.startswith((f"{known}.", f"{known}[")) for known in self._unresolved):
            return
        match kind:
            case "missing":
                self.problem(key, "is missing")
            case "extra_forbidden":
                self.problem(key, UNKNOWN_KEY)
            case _:
                text = text.removeprefix("Value error, ").replace("Input should", "should", 1)
                self.problem(key, text.replace("tuple", "list"))


def _given(table: Table, loc: Steps) -> Steps:
    """The part of ``loc`` that leads through what was given: the checker adds steps of its own."""
    value: Any = table
    where: list[str | int] = []
    for step in loc:
        if not isinstance(value, dict | list):
            break
        where.append(step)
        if isinstance(value, dict):
            value = value.get(str(step))
        else:
            value = value[step] if isinstance(step, int) and step < len(value) else None
    return tuple(where)


def _dotted(path: Steps) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _variable(field: str) -> str:
    return next((name for name, filled in ENVIRONMENT.items() if filled == field), field)
