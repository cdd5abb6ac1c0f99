"""The forms that a report is written in. What draws is loaded when it is first wanted, and by nobody else."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from bridge.report.shape import Report
from bridge.report.sheet import csv_of, deliveries_csv_of

_CSV = "text/csv; charset=utf-8"


class Form(NamedTuple):
    """``suffix`` is how a file's name ends. ``write`` may take seconds: keep it out of a loop's own thread."""

    media_type: str
    suffix: str
    write: Callable[[Report], bytes]


def _html(report: Report) -> bytes:
    from bridge.report.html import html_of  # noqa: PLC0415 - matplotlib: 70 MiB that only who draws needs

    return html_of(report).encode()


def _pdf(report: Report) -> bytes:
    from bridge.report.pdf import pdf_of  # noqa: PLC0415 - likewise

    return pdf_of(report)


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "json": Form("application/json", ".json", msgspec.json.encode),
        "csv": Form(_CSV, ".csv", lambda report: csv_of(report).encode()),
        "deliveries-csv": Form(_CSV, "-deliveries.csv", lambda report: deliveries_csv_of(report).encode()),
        "html": Form("text/html; charset=utf-8", ".html", _html),
        "pdf": Form("application/pdf", ".pdf", _pdf),
    }
)
