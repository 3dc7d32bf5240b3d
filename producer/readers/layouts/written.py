"""Lists of turns that are written out in a text, as JSON or as Python does. Pure."""

import ast
import json
import re
from contextlib import suppress
from typing import Any

#: Between two elements without a comma: NumPy and pandas write lists so, and some programs an object a line.
_GAP = re.compile(r"([}\])])\s*\n\s*([{\[(])")


def parse_list(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text writes out, or None."""
    text = text.strip()
    if text[:1] not in ("[", "{") or text[-1:] not in ("]", "}"):
        return None
    parted = _GAP.sub(r"\1,\2", text)
    ways = [text] if parted == text else [text, parted if text[0] == "[" else f"[{parted}]"]
    for written in ways:
        with suppress(ValueError, RecursionError):
            return _as_lists(json.loads(written))
    if text[1:].lstrip()[:1] not in ("{", "[", "(", "'", '"'):
        return None
    for written in ways:
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return _as_lists(ast.literal_eval(written))
    return None


def _as_lists(found: Any) -> list[Any] | dict[str, Any] | None:
    """The list or object that was found; pairs that are tuples become lists."""
    if isinstance(found, list):
        return [list(each) if isinstance(each, tuple) else each for each in found]
    return found if isinstance(found, dict) else None
