"""``bridge signature learn``: how a venue signs, found out from one captured delivery. The secret is never shown."""

import json
import sys
from collections.abc import Mapping, Sequence
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.edge import PROBLEM, Edge
from bridge.core.errors import ConfigError
from bridge.core.signature import SignatureProfile, learn

FILE_BYTES_MAX = 2 * 1024 * 1024

Captured = Sequence[tuple[bytes, bytes]]


def register(app: typer.Typer, edge: Edge) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="How a venue signs its deliveries.", no_args_is_help=True)
    app.add_typer(group, name="signature")

    @group.callback()
    def _group() -> None:
        """How a venue signs its deliveries."""

    @group.command("learn")
    def learn_(
        headers: Annotated[Path, typer.Option(help="The delivery's headers: lines 'Name: value', or a JSON object.")],
        body: Annotated[Path, typer.Option(help="The delivery's body, byte for byte.")],
        secret: Annotated[str, typer.Option(help="The variable that holds the secret, or - to be asked for it.")],
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Find the one profile under which a captured delivery is genuine, ready to paste. Exit code 1 if not one."""
        captured = parse_headers(_read(headers, "--headers"))
        content = _read(body, "--body")
        key = _secret(secret, edge.environ)
        found = learn(captured, content, key)
        trimmed = content.removesuffix(b"\n").removesuffix(b"\r")
        if not found and trimmed != content:
            found = learn(captured, trimmed, key)
            if found:
                typer.echo("the body's file ends in a line break that the delivery did not have", err=True)
        if as_json:
            typer.echo(json.dumps({"profiles": [_members(profile) for profile in found]}))
        else:
            _say(found)
        if len(found) != 1:
            raise typer.Exit(PROBLEM)


def _say(found: Sequence[SignatureProfile]) -> None:
    match found:
        case [profile]:
            typer.echo("# into [sources.NAME.webhook]")
            typer.echo(toml(profile))
        case []:
            typer.echo(
                "no known profile fits: is the secret the right one, and the body byte for byte what was sent?",
                err=True,
            )
        case _:
            typer.echo(f"{len(found)} profiles fit, and only one may be pinned: capture another delivery", err=True)
            for profile in found:
                typer.echo(f"# {toml(profile)}")


def toml(profile: SignatureProfile) -> str:
    """The profile as the line of the configuration that pins it."""
    pairs = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in _members(profile).items())
    return f"signature = {{ {', '.join(pairs)} }}"


def _members(profile: SignatureProfile) -> dict[str, str]:
    members = {
        "header": profile.header,
        "encoding": profile.encoding,
        "prefix": profile.prefix,
        "content": profile.content,
        "key": profile.key,
        "timestamp_header": profile.timestamp_header,
    }
    return {name: str(value) for name, value in members.items()}


def parse_headers(text: bytes) -> Captured:
    """Headers as they were captured: a JSON object, or lines; a request line before them and blank lines do no harm.

    Raises:
        ConfigError: there are none.
    """
    found = _from_json(text) if text.lstrip().startswith(b"{") else _from_lines(text)
    if not found:
        raise ConfigError("--headers: no header in it; expected lines 'Name: value', or a JSON object")
    return found


def _from_lines(text: bytes) -> Captured:
    pairs = (line.partition(b":") for line in text.splitlines())
    named = ((name.strip().lower(), value.strip()) for name, colon, value in pairs if colon)
    return [(name, value) for name, value in named if name and b" " not in name]


def _from_json(text: bytes) -> Captured:
    try:
        told = json.loads(text)
    except ValueError:
        raise ConfigError("--headers: begins like JSON and is none") from None
    pairs = [(name, one) for name, value in told.items() for one in (value if isinstance(value, list) else [value])]
    return [(name.lower().encode(), one.encode()) for name, one in pairs if isinstance(one, str)]


def _read(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{option}: {path} is larger than {FILE_BYTES_MAX} bytes")
    return content


def _secret(named: str, environ: Mapping[str, str]) -> str:
    if named == "-":
        given = getpass("secret: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    else:
        given = environ.get(named, "")
    if not given:
        # What was named is not repeated: it may be the secret itself.
        raise ConfigError("--secret: is empty; name a variable of the environment that holds the secret, or give -")
    return given
