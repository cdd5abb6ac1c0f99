"""How alerts are put into words: spans of time, amounts, and text of others made harmless."""

from datetime import datetime

CHARS_MAX = 300


def span(seconds: float) -> str:
    """A span of time in one or two units: 40 s, 3 min, 5 h 02 min, 2 d 3 h."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes >= 3 else f"{whole} s"


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def many(count: int, one: str, several: str | None = None) -> str:
    """``1 open gap``, ``2 open gaps``; ``several`` where it is not ``one`` with an s."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def harmless(text: str) -> str:
    """Somebody else's text on one line, printable, and not too long."""
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return shown if len(shown) <= CHARS_MAX else f"{shown[: CHARS_MAX - 1]}…"
