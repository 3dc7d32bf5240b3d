"""JSON Lines as records: one object a line. Knows no field and no shape."""

import io
import json
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aftercall.errors import SourceError
from producer.readers.content import Content, readable
from producer.readers.rows import Picker, Record, Rejected, RowError, Value

#: So many broken lines at the start, and it is no JSON Lines file.
_MAX_BROKEN = 100


@dataclass(frozen=True, slots=True)
class JsonLines:
    """One object a line; the first sound one says which keys there are."""

    content: Content
    encoding: str
    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return ("json",)

    def records(self) -> Iterator[Record | Rejected]:
        yield from _records(self.content, self.encoding)

    def picker(self, names: Sequence[str | None], optional: Collection[str | None] = ()) -> Picker:
        def pick(cells: Sequence[str]) -> list[Value]:
            item = _parse_object(cells[0])
            return ["" if name is None else _value(item.get(name), name) for name in names]

        return pick


def is_json(content: Content, encoding: str) -> bool:
    """Whether the first character is that of an object.

    Raises SourceError if it is that of an array.
    """
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as stream:
        first = stream.read(1 << 16).lstrip("\ufeff \t\r\n")[:1]
    if first == "[":
        # What came through a pipe lies in a file that nobody knows.
        file = shlex.quote(readable(content.path)) if readable(content.path.name) == content.name else "FILE"
        raise SourceError(
            f"{content.name}: this is a JSON array; write one object a line, for example with jq -c '.[]' {file}"
        )
    return first == "{"


def read_json_lines(content: Content, encoding: str) -> JsonLines:
    """Take the keys from the first line that is an object.

    Raises SourceError if the first hundred lines hold none.
    """
    for record in islice(_records(content, encoding), _MAX_BROKEN):
        try:
            return JsonLines(content, encoding, tuple(_parse_object(record.cells[0])))
        except RowError:
            continue
    raise SourceError(f"{content.name}: starts like JSON, but no line is a whole object. Write one object a line.")


def _records(content: Content, encoding: str) -> Iterator[Record]:
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as stream:
        for number, line in enumerate(stream, 1):
            if text := line.strip("\ufeff \t\r\n"):
                yield Record(number, (text,))


def _parse_object(line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(f"no valid JSON ({error}).") from None
    if not isinstance(item, dict) or not item:
        raise RowError(f"expected a JSON object with keys, found {line[:40]!r}.")
    return item


def _value(value: Any, name: str) -> Value:
    if isinstance(value, str | list):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        raise RowError(f"{name!r} is an object; expected text or a list of turns.")
    return json.dumps(value)
