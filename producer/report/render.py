"""From a report to one self-contained HTML page: no script, no other file, nothing from a network."""

from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from producer.report import charts
from producer.report.gather import Report
from producer.when import duration

#: The first words of the page: by them a report is known that may be overwritten.
HEAD = "<!doctype html><!-- aftercall report -->"


def render(report: Report) -> str:
    """The page, in UTF-8."""
    # Conversations and summaries are other people's words: everything is escaped.
    environment = Environment(
        loader=PackageLoader("producer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "share": _share, "clock": _clock, "day": _day, "duration": duration}
    page = environment.get_template("report.html.j2")
    made_at = report.standings.pace.at
    return f"{HEAD}\n{page.render(report=report, made_at=made_at, width=charts.WIDTH, height=charts.HEIGHT)}\n"


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%H:%M}"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%A, %d %B %Y}"
