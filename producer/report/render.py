"""From a report to one self-contained HTML page: no script, no other file, nothing from a network."""

from aftercall.page import STYLE
from producer.html import make_environment
from producer.report import charts
from producer.report.gather import Report

#: The first words of the page: by them a report is known that may be overwritten.
HEAD = "<!doctype html><!-- aftercall report -->"


def render(report: Report) -> str:
    """The page, in UTF-8."""
    page = make_environment("producer.report").get_template("report.html.j2")
    made_at = report.standings.pace.at
    body = page.render(report=report, made_at=made_at, width=charts.WIDTH, height=charts.HEIGHT, style=STYLE)
    return f"{HEAD}\n{body}\n"
