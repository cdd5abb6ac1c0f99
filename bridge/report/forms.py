"""The forms that a report is written in. What draws is loaded when it is first wanted, and by nobody else."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bridge.report.brief import brief_of
from bridge.report.sheet import csv_of, deliveries_csv_of
from bridge.report.written import Written

_CSV = "text/csv; charset=utf-8"


class Form(NamedTuple):
    """``suffix`` is how a file's name ends. ``write`` gives pieces, and may take seconds: keep it out of a loop."""

    media_type: str
    suffix: str
    write: Callable[[Written], Iterator[bytes]]


def _html(report: Written) -> Iterator[bytes]:
    from bridge.report.html import html_of  # noqa: PLC0415 - matplotlib: 70 MiB that only who draws needs

    yield html_of(brief_of(report)).encode()


def _pdf(report: Written) -> Iterator[bytes]:
    from bridge.report.pdf import pdf_of  # noqa: PLC0415 - likewise

    yield pdf_of(brief_of(report))


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "json": Form("application/json", ".json", Written.chunks),
        "csv": Form(_CSV, ".csv", csv_of),
        "deliveries-csv": Form(_CSV, "-deliveries.csv", deliveries_csv_of),
        "html": Form("text/html; charset=utf-8", ".html", _html),
        "pdf": Form("application/pdf", ".pdf", _pdf),
    }
)
