"""From a template to an answer, and the parts of an address."""

from collections.abc import Sequence
from functools import cache
from typing import TypeVar
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from producer.html import make_environment
from producer.web.access import TOKEN_FIELD

#: Rows on a page.
NUM_ROWS = 50

#: Longest number that a database can hold, in digits.
_MAX_DIGITS = 18

#: Address and name of the pages that every page links to.
_SECTIONS = (
    ("/", "Submissions"),
    ("/search", "Search"),
    ("/failures", "Failures"),
    ("/review", "Review"),
    ("/workers", "Workers"),
    ("/adapters", "Adapters"),
)

Row = TypeVar("Row")


@cache
def _environment() -> Environment:
    environment = make_environment("producer.web")
    environment.globals |= {"sections": _SECTIONS, "link": link, "token_field": TOKEN_FIELD}
    return environment


def render(request: Request, template: str, *, title: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page."""
    page = _environment().get_template(f"{template}.html.j2")
    text = page.render(title=title, path=request.url.path, token=request.state.token, **values)
    # A database may hold lone surrogates, which UTF-8 can't.
    return HTMLResponse(text.encode(errors="replace"), status)


def link(path: str, **parameters: object) -> str:
    """An address with these parameters; those that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def read_number(request: Request, name: str) -> int | None:
    """A whole number in the address; None if it is not there.

    Raises HTTPException if something else is.
    """
    words = request.query_params.get(name)
    if words is None:
        return None
    if not (words.isascii() and words.isdigit()) or len(words) > _MAX_DIGITS:
        raise HTTPException(400, f"{name} must be a whole number.")
    return int(words)


def require_sure(request: Request) -> None:
    """Raise HTTPException unless the box of the question was ticked."""
    if request.state.form.get("is_sure") != "yes":
        raise HTTPException(400, "Nothing was changed. Go back and tick the box to confirm.")


def split_page(rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
    """The rows of a page, and whether more follow, of one row more than a page has."""
    return rows[:NUM_ROWS], len(rows) > NUM_ROWS
