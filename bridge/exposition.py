"""The text that Prometheus reads (version 0.0.4), for many series at once: several times faster than the library."""

from collections.abc import Iterable

Sample = tuple[str, float | None]
"""The labels as ``labels`` writes them, and the value. Without a value there is no sample."""


def labels(**pairs: str) -> str:
    """``{name="value",...}``; nothing where there are none."""
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())
    return f"{{{written}}}" if written else ""


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> str:
    """One metric with all its samples: ``kind`` is ``gauge`` or ``counter``. Nothing where there are none."""
    lines = [f"{name}{where} {value}\n" for where, value in samples if value is not None]
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n{''.join(lines)}" if lines else ""


def histogram(name: str, words: str, samples: Iterable[tuple[str, str, float]]) -> str:
    """A histogram from samples with their suffix: ``_bucket``, ``_sum`` or ``_count``, labels and value."""
    lines = [f"{name}{suffix}{where} {value}\n" for suffix, where, value in samples]
    return f"# HELP {name} {words}\n# TYPE {name} histogram\n{''.join(lines)}" if lines else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
