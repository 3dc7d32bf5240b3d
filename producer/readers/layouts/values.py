"""Values of records as text, ids and flags. Knows no layout.

A text may come in parts (a sentence each, or an object with its `text`); parts that hold none, such as pictures and
calls of tools, are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from producer.readers.rows import RowError, present, take_id

_PART_KEYS = ("text", "value", "content", "body", "msg")
#: What a document's paragraphs are called; its parts are runs of one line.
_LINES = ("paragraph", "heading", "codeBlock")
_MAX_DEPTH = 8
#: No word for nothing is longer, with white space around it.
_MAX_MISSING_CHARS = 30
_MAX_PARTS = 10_000

#: `outbound-api`, `inbound_email`.
_VIA = re.compile(r"((?:in|out)(?:bound|coming|going))[-_ ]")
_TRUE = frozenset(["true", "t", "yes", "y", "1", "public", "external", "inbound", "incoming", "in", "customer"])
_FALSE = frozenset(["false", "f", "no", "n", "0", "private", "internal", "outbound", "outgoing", "out", "agent"])


def take_flag(value: Any) -> bool | None:
    """True or false, or None if it is neither."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold().removesuffix(".0")
    if (kind := _VIA.match(word)) is not None:
        word = kind[1]
    return True if word in _TRUE else False if word in _FALSE else None


def is_missing(value: Any) -> bool:
    """Whether a value holds nothing; `nan` and `NULL` are what programs write for that."""
    if type(value) is str:
        return not value or (len(value) <= _MAX_MISSING_CHARS and not present(value.strip())) or value.isspace()
    return value is None


def take_words(value: Any) -> str:
    """What is said, from a string or a list of parts; empty if there is nothing, as in a picture.

    Raises RowError if it is neither.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        # Strings among objects are runs of one line, some of them bold.
        is_line = any(isinstance(part, str) for part in value) and any(isinstance(part, Mapping) for part in value)
        return ("" if is_line else "\n").join(_parts(value))
    if isinstance(value, Mapping):
        return "\n".join(_parts([value]))
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"the text is {_shown(value)}; expected a string.")


def _parts(value: list[Any], depth: int = 0) -> Iterator[str]:
    for part in value[:_MAX_PARTS]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            inner = next((part[key] for key in _PART_KEYS if part.get(key)), None)
            if isinstance(inner, Mapping):
                inner = inner.get("value") or inner.get("text")
            if isinstance(inner, str):
                yield inner
            elif isinstance(inner, list) and depth < _MAX_DEPTH:  # a document of paragraphs of runs
                runs = list(_parts(inner, depth + 1))
                yield ("" if part.get("type") in _LINES else "\n").join(runs)


def take_key(value: Any, path: str) -> str:
    """A conversation's id as short, storable text; numbers are written as they stand.

    Raises RowError.
    """
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return take_id(str(value) if is_number else value, path)


def take_label(value: Any) -> str:
    """Who wrote it, in the export's words; of an object its name, address or id."""
    if type(value) is str:
        return value.strip()
    if isinstance(value, Mapping):
        keys = ("role", "type", "name", "display_name", "username", "email", "handle", "id")
        value = next((value[key] for key in keys if isinstance(value.get(key), str | int) and value[key] != ""), None)
    if isinstance(value, list):
        value = value[0] if len(value) == 1 and not isinstance(value[0], list | Mapping) else None
    if value is None or isinstance(value, bool | list | Mapping):
        return ""
    return str(value).strip().removesuffix(".0") if isinstance(value, float) else str(value).strip()


def _shown(value: Any) -> str:
    try:
        return repr(json.dumps(value, default=str)[:40])
    except (ValueError, RecursionError):
        return "no text"
