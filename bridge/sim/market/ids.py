"""Ids as venues write them, made of a fact's token: 32 hex digits that are its own."""

from datetime import UTC, datetime, timedelta

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def uuid_of(token: str) -> str:
    """A version 4 UUID of ``token``, lower case."""
    return f"{token[:8]}-{token[8:12]}-4{token[13:16]}-8{token[17:20]}-{token[20:32]}"


def ulid_of(token: str, at: datetime) -> str:
    """A ULID of 26 characters: the milliseconds of ``at``, then 80 bits of ``token``."""
    number = (ms_of(at) << 80) | int(token[:20], 16)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def us_of(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _ORIGIN) // timedelta(microseconds=1)


def ms_of(at: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return us_of(at) // 1000


def whole_ms(at: datetime) -> datetime:
    """``at`` as a stamp in milliseconds tells it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def whole_s(at: datetime) -> datetime:
    """``at`` as a stamp in seconds tells it."""
    return at.replace(microsecond=0)
