"""The address of the database, as the driver takes it. Whatever is wrong with it, its text stays secret."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bridge.core.errors import ConfigError

KEY = "DATABASE_URL"
SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PARAMETERS = ("host", "port", "ssl")
# libpq's, which hosts print into the addresses they hand out and the driver settles by itself.
UNNEEDED = ("channel_binding", "connect_timeout", "application_name", "gssencmode")


def database_url(environ: Mapping[str, str]) -> str | None:
    """DATABASE_URL for SQLAlchemy on asyncpg; None where it is unset or empty.

    Raises:
        ConfigError: it is no address of a Postgres.
    """
    given = environ.get(KEY, "").strip()
    return normalised(given) if given else None


def normalised(url: str) -> str:
    """``url`` with the driver named and libpq's ``sslmode`` in the driver's word.

    Raises:
        ConfigError: it is no address of a Postgres.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise ConfigError(f"{KEY}: is not a URL") from None
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"{KEY}: must start with postgres:// or postgresql://")
    query = dict(parse_qsl(parts.query))
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    problems = [
        f"{KEY}: cannot be given the parameter '{name}'"
        + (" (set PGSSLROOTCERT instead)" if name == "sslrootcert" else "")
        for name in query
        if name not in PARAMETERS + UNNEEDED
    ]
    if query.get("ssl", "prefer") not in SSL_MODES:
        problems.append(f"{KEY}: sslmode must be one of {', '.join(SSL_MODES)}")
    if not parts.path.strip("/"):
        problems.append(f"{KEY}: names no database")
    if problems:
        raise ConfigError(*problems)
    kept = {name: value for name, value in query.items() if name in PARAMETERS}
    # A path to a socket stays readable; everything else is quoted.
    return urlunsplit(("postgresql+asyncpg", parts.netloc, parts.path, urlencode(kept, safe="/"), ""))
