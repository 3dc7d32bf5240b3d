"""JSON Lines as records: one object a line. Knows no field and no shape."""

import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aftercall.errors import SourceError
from producer.readers.containers.content import Content
from producer.readers.rows import Picker, Record, Rejected, RowError, Table, Value

#: So many broken lines at the start, and it is no JSON Lines file.
_MAX_BROKEN = 100
#: Keys that are looked at.
_MAX_NAMES = 1_000
#: A line that is longer is no conversation, and is not held whole.
MAX_LINE_CHARS = 64 << 20
#: What the cells of a record are called.
JSON_COLUMNS = ("json",)
#: Of a line that is too long, what its rejected row shows.
_SHOWN_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class JsonLines:
    """One object a line; the first sound ones say which keys there are."""

    content: Content
    encoding: str
    names: tuple[str, ...]

    @property
    def has_objects(self) -> bool:
        return True

    @property
    def columns(self) -> tuple[str, ...]:
        return JSON_COLUMNS

    def records(self) -> Iterator[Record | Rejected]:
        yield from _records(self.content, self.encoding)

    def picker(self, names: Sequence[str | None], optional: Collection[str | None] = ()) -> Picker:
        return pick_keys(names)


def is_json(table: Table) -> bool:
    """Whether a table's records are objects, and no rows of cells."""
    return bool(getattr(table, "has_objects", False))


def pick_keys(names: Sequence[str | None]) -> Picker:
    """A function from a record of JSON to the values of these keys."""

    def pick(cells: Sequence[str]) -> list[Value]:
        item = parse_object(cells[0])
        return ["" if name is None else _value(item.get(name), name) for name in names]

    return pick


def read_json_lines(content: Content, encoding: str) -> JsonLines:
    """Take the keys from the first lines that are objects.

    Raises SourceError if the first hundred lines hold none.
    """
    names: dict[str, None] = {}
    for record in islice(_records(content, encoding), _MAX_BROKEN):
        try:
            if isinstance(record, Record):
                names |= dict.fromkeys(parse_object(record.cells[0]))
        except RowError:
            continue
    if names:
        return JsonLines(content, encoding, tuple(islice(names, _MAX_NAMES)))
    raise SourceError(f"{content.name}: starts like JSON, but no line is a whole object. Write one object a line.")


def _records(content: Content, encoding: str) -> Iterator[Record | Rejected]:
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as stream:
        number = 0
        while line := stream.readline(MAX_LINE_CHARS):
            number += 1
            if len(line) == MAX_LINE_CHARS and not line.endswith("\n"):
                yield Rejected(
                    number, f"the line is longer than {MAX_LINE_CHARS:,} characters.", (line[:_SHOWN_CHARS],)
                )
                while line and not line.endswith("\n"):
                    line = stream.readline(MAX_LINE_CHARS)
            elif text := line.strip("\ufeff \t\r\n"):
                yield Record(number, (text,))


def parse_object(line: str) -> dict[str, Any]:
    """The object that a line holds.

    Raises RowError.
    """
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
