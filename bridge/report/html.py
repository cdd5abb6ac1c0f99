"""A report as one HTML file: charts, and tables under them. It loads nothing and runs nothing."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from bridge.report import drawing, telling
from bridge.report.brief import Brief


def html_of(brief: Brief) -> str:
    """The file. The same report gives the same bytes."""
    report = brief.report
    environment = Environment(
        loader=PackageLoader("bridge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = [
        {"title": title, "says": f"{title}. The figures are in the tables below.", "svg": drawing.svg_of(figure)}
        for title, figure in drawing.charts(brief).items()
    ]
    return environment.get_template("report.html").render(
        title=telling.title_of(report),
        summary=telling.summary_of(report),
        charts=charts,
        sheets=telling.sheets_of(report),
        digest=report.digest,
    )
