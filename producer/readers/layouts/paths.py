"""Paths into a record, in JMESPath. Plain ones such as `author.type` are walked directly, which is much faster."""

import re
from collections.abc import Callable, Mapping
from functools import cache, reduce
from typing import Any

from aftercall.errors import SourceError

Getter = Callable[[Any], Any]

_STEP = r'(?:[A-Za-z_]\w*|"[^"\\]+")'
_PLAIN = re.compile(rf"{_STEP}(?:\.{_STEP})*", re.ASCII)
_STEPS = re.compile(_STEP, re.ASCII)
_EITHER = re.compile(rf"{_PLAIN.pattern}(?:\s*\|\|\s*{_PLAIN.pattern})+", re.ASCII)

#: The name of a column with a space in it, which JMESPath would want in quotes.
_SPACED = re.compile(r"\w[\w /#-]* [\w /#-]*")

#: What JMESPath takes for false; `||` goes on to the next path then.
_FALSE: tuple[Any, ...] = (None, "", [], {})


@cache
def compile_path(path: str) -> Getter:
    """A function from a record to what stands at the path, or None.

    Raises SourceError if it is no JMESPath expression.
    """
    if _PLAIN.fullmatch(path):
        return _walk(tuple(step.strip('"') for step in _STEPS.findall(path)))
    if _SPACED.fullmatch(path):
        return _walk((path,))
    if _EITHER.fullmatch(path):
        return _first_of([compile_path(part.strip()) for part in path.split("||")])
    return _search(path)


def _walk(steps: tuple[str, ...]) -> Getter:
    if len(steps) == 1:
        (step,) = steps
        return lambda item: item.get(step) if isinstance(item, Mapping) else None
    return lambda item: reduce(lambda at, step: at.get(step) if isinstance(at, Mapping) else None, steps, item)


def _first_of(getters: list[Getter]) -> Getter:
    def get(item: Any) -> Any:
        value = None
        for getter in getters:
            value = getter(item)
            if value is not False and value not in _FALSE:
                return value
        return value

    return get


def _search(path: str) -> Getter:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        expression = jmespath.compile(path)
    except JMESPathError as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise SourceError(
            f"the path {path!r} is no JMESPath expression ({reason}). A path looks like id, author.type or "
            'comments[0].body; a name with a space stands in double quotes: "Ticket ID".'
        ) from None

    def get(item: Any) -> Any:
        try:
            return expression.search(item)
        except (JMESPathError, RecursionError):  # a function met a value that it cannot take, such as null
            return None

    return get


def quote_name(name: str) -> str:
    """A key as a path of one step."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else '"{}"'.format(name.replace('"', '\\"'))
