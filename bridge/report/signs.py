"""The signs that paper can show: those of the one font that a PDF carries."""

from collections.abc import Container
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.ft2font import FT2Font

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
REGULAR, BOLD = FONTS / "DejaVuSans.ttf", FONTS / "DejaVuSans-Bold.ttf"


def shown(text: str) -> str:
    """``text``, with a code such as ``\\u4e2d`` for each sign that the font lacks: a name is never blank on paper."""
    known = _known()
    return "".join(sign if ord(sign) in known else _code(sign) for sign in text)


def _code(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


@cache
def _known() -> Container[int]:
    regular, bold = (FT2Font(str(path)).get_charmap() for path in (REGULAR, BOLD))
    return frozenset(regular.keys() & bold.keys())
