"""The templates of the report and of the web pages: everything is escaped, undefined names are errors."""

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from aftercall.masking import printable
from producer.when import duration


def make_environment(package: str) -> Environment:
    """The environment of the templates in a package, with our filters."""
    # Conversations and summaries are other people's words.
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "share": _share,
        "clock": _clock,
        "day": _day,
        "moment": _moment,
        "date": _date,
        "duration": duration,
        "printable": printable,
    }
    return environment


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%H:%M}"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%A, %d %B %Y}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def _date(seconds: float) -> str:
    """In UTC, in which weeks begin."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
