"""A report as PDF, for whoever signs it on paper: the charts, and the tables under them."""

from io import BytesIO

import msgspec
from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from bridge.report import drawing, telling
from bridge.report.brief import Brief
from bridge.report.shape import Report
from bridge.report.signs import BOLD, REGULAR, shown
from bridge.report.telling import Sheet

_FONT = "DejaVu"
_TABLE_MM_MIN = 45
_BAD = FontFace(color=(163, 59, 0), emphasis="BOLD")


class _Pages(FPDF):
    """Landscape A4, with a number on each page, and beside it the ``digest`` of the report that it belongs to."""

    def __init__(self, digest: str) -> None:
        super().__init__(orientation="landscape", format="A4")
        self._digest = digest
        self.add_font(_FONT, fname=REGULAR)
        self.add_font(_FONT, "B", BOLD)
        self.set_auto_page_break(True, margin=15)

    def footer(self) -> None:
        self.set_y(-11)
        self.set_font(_FONT, size=6)
        self.cell(0, 5, f"{self._digest}    page {self.page_no()} of {{nb}}", align="R")


def pdf_of(brief: Brief) -> bytes:
    """The file. The same report gives the same bytes."""
    report = _inked(brief.report)
    pages = _Pages(report.digest)
    pages.set_creation_date(report.until)
    pages.set_title(f"Reconciliation {telling.title_of(report)}")
    pages.add_page()
    _say(pages, "Reconciliation", size=18, bold=True)
    _say(pages, telling.title_of(report), size=10)
    _say(pages, telling.summary_of(report), size=10)
    for title, figure in drawing.charts(brief._replace(report=report), line=drawing.LINE_ON_PAPER).items():
        height = pages.epw * figure.get_figheight() / figure.get_figwidth()
        if pages.will_page_break(height + 10):
            pages.add_page()
        _say(pages, title, size=9)
        picture = BytesIO(drawing.png_of(figure))
        pages.image(picture, w=pages.epw, h=min(height, pages.eph - 12), keep_aspect_ratio=True, alt_text=title)
    for sheet in telling.sheets_of(report):
        _table(pages, sheet)
    return bytes(pages.output())


def _inked(report: Report) -> Report:
    """With names that the font can show: charts and tables name the same streams alike."""
    return msgspec.structs.replace(
        report,
        streams=[msgspec.structs.replace(one, stream=shown(one.stream)) for one in report.streams],
        destinations=[
            msgspec.structs.replace(one, destination=shown(one.destination)) for one in report.destinations
        ],
    )


def _say(pages: FPDF, text: str, *, size: int, bold: bool = False) -> None:
    pages.set_font(_FONT, "B" if bold else "", size)
    pages.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT")
    pages.ln(1)


def _table(pages: FPDF, sheet: Sheet) -> None:
    if pages.will_page_break(_TABLE_MM_MIN):
        pages.add_page()
    pages.ln(5)
    _say(pages, sheet.title, size=12, bold=True)
    _say(pages, sheet.says, size=8)
    pages.set_font(_FONT, size=6)
    widths = (3, *(6 if name in sheet.words else 1.3 for name in sheet.columns[1:]))
    align = ("LEFT", *("LEFT" if name in sheet.words else "RIGHT" for name in sheet.columns[1:]))
    with pages.table(
        col_widths=widths, text_align=align, line_height=4.6, borders_layout=TableBordersLayout.HORIZONTAL_LINES
    ) as table:
        table.row(sheet.columns)
        for row in sheet.rows:
            table.row([shown(cell) for cell in row.cells], style=_BAD if row.bad else None)
