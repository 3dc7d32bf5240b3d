"""Values of records as text, ids and flags. Knows no layout.

A text may come in parts (a sentence each, or an object with its `text`); parts that hold none, such as pictures and
calls of tools, are left out.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from producer.readers.rows import RowError, present, take_id

_PART_KEYS = ("text", "value", "content", "body", "msg")
_MAX_PARTS = 10_000

_TRUE = frozenset(["true", "t", "yes", "y", "1", "public", "external", "inbound", "incoming", "in", "customer"])
_FALSE = frozenset(["false", "f", "no", "n", "0", "private", "internal", "outbound", "outgoing", "out", "agent"])


def take_flag(value: Any) -> bool | None:
    """True or false, or None if it is neither."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold().removesuffix(".0")
    return True if word in _TRUE else False if word in _FALSE else None


def is_missing(value: Any) -> bool:
    """Whether a value holds nothing; `nan` and `NULL` are what programs write for that."""
    return value is None or (isinstance(value, str) and not present(value.strip()))


def take_words(value: Any) -> str:
    """What is said, from a string or a list of parts; empty if there is nothing, as in a picture.

    Raises RowError if it is neither.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_parts(value))
    if isinstance(value, Mapping):
        return next(_parts([value]), "")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"the text is {_shown(value)}; expected a string.")


def _parts(value: list[Any]) -> Iterator[str]:
    for part in value[:_MAX_PARTS]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            inner = next((part[key] for key in _PART_KEYS if part.get(key)), None)
            if isinstance(inner, Mapping):
                inner = inner.get("value") or inner.get("text")
            if isinstance(inner, str):
                yield inner


def take_key(value: Any, path: str) -> str:
    """A conversation's id as short, storable text; numbers are written as they stand.

    Raises RowError.
    """
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return take_id(str(value) if is_number else value, path)


def take_label(value: Any) -> str:
    """Who wrote it, in the export's words; of an object its name, address or id."""
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
