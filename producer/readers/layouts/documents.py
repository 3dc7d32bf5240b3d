"""JSON that is one document: an array, a wrapper around arrays, an object keyed by id, or a single conversation.

Streamed with ijson: of a document only its beginning and one record at a time are held, however long it is. Knows no
layout; `places` says where records may stand, and a JsonDocument reads those of the places that were chosen.
"""

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, Literal

from aftercall.errors import SourceError
from producer.readers.containers.content import Content
from producer.readers.jsonlines import JSON_COLUMNS, pick_keys
from producer.readers.layouts.names import TURN_LISTS, plain
from producer.readers.rows import Picker, Record, Rejected, RowError

#: The key under which an entry of an object keyed by id stands in its record.
KEY = "@key"

#: Events of the parser from which the beginning of a document is built.
_MAX_EVENTS = 60_000
#: Records of a place that are looked at.
_NUM_SAMPLES = 20
_MAX_DEPTH = 4
#: A document that is one record must be held whole.
_MAX_WHOLE_BYTES = 64 << 20
#: Lines that are looked at to tell JSON Lines from a document.
_NUM_LINES = 20
_LINE_CHARS = 1 << 20

#: Names that are no ids.
_WRAPPERS = frozenset(map(plain, TURN_LISTS))

Form = Literal["lines", "document"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where records stand in a document."""

    #: As ijson writes it: `` is the document, `chats.item` the elements of the array `chats`.
    prefix: str
    #: Whether each value of the object there is a record, under its key.
    is_keyed: bool
    samples: tuple[dict[str, Any], ...]

    @property
    def parent(self) -> str:
        """The place around the list."""
        return self.prefix.removesuffix("item").rstrip(".").rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """The records at some places of a document, numbered from 1."""

    content: Content
    encoding: str
    places: tuple[Place, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for place in self.places for sample in place.samples for key in sample))

    @property
    def has_objects(self) -> bool:
        return True

    @property
    def columns(self) -> tuple[str, ...]:
        return JSON_COLUMNS

    def at(self, places: Sequence[Place]) -> "JsonDocument":
        """The same document, read at other places."""
        return replace(self, places=tuple(places))

    def records(self) -> Iterator[Record | Rejected]:
        number = 0
        for place in self.places:
            for item in self._items(place):
                number += 1
                yield Record(number, (json.dumps(item, ensure_ascii=False, default=_number),))

    def _items(self, place: Place) -> Iterator[Any]:
        import ijson

        if not place.prefix and not place.is_keyed and self.content.path.stat().st_size > _MAX_WHOLE_BYTES:
            raise SourceError(
                f"{self.content.name}: this is one JSON object of more than {_MAX_WHOLE_BYTES >> 20} MiB. Split it "
                "into one object a conversation."
            )
        with _stream(self.content, self.encoding) as stream, _explaining(self.content.name):
            if place.is_keyed:
                for key, value in ijson.kvitems(stream, place.prefix, multiple_values=True):
                    yield _keyed(key, value)
            else:
                yield from map(_as_record, ijson.items(stream, place.prefix, multiple_values=True))

    def picker(self, names: Sequence[str | None], optional: Collection[str | None] = ()) -> Picker:
        return pick_keys(names)


def tell_form(content: Content, encoding: str) -> Form | None:
    """Whether this is JSON Lines or a JSON document; None: it is no JSON."""
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as text:
        if (text.read(1 << 16).lstrip("\ufeff \t\r\n")[:1] or "-") not in "{[":
            return None
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as text:
        lines = (line.strip("\ufeff \t\r\n") for line in iter(lambda: text.readline(_LINE_CHARS), ""))
        first, *others = [*islice(filter(None, lines), _NUM_LINES)] or [""]
    if _is_whole(first):
        return "lines" if others else "document"
    # A broken first line of JSON Lines, or the first line of a document that is printed over several.
    return "lines" if first.startswith("{") and any(_is_whole(line, dict) for line in others) else "document"


def _is_whole(line: str, kind: type = object) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(line), kind)
    return False


def read_document(content: Content, encoding: str) -> JsonDocument:
    """Look at a document's beginning, and make sure that it is whole JSON.

    Raises SourceError, with the place, if it is not.
    """
    beginning, is_whole = _read_beginning(content, encoding)
    places = tuple(_find_places(beginning, is_whole))
    if not places:
        raise SourceError(
            f"{content.name}: this JSON holds no object. Expected an array of conversations, an object with such an "
            "array in it, or one object a line."
        )
    return JsonDocument(content, encoding, places)


def _read_beginning(content: Content, encoding: str) -> tuple[Any, bool]:
    """What the first events build, and whether that is all."""
    import ijson

    with _stream(content, encoding) as stream, _explaining(content.name):
        events = ijson.basic_parse(stream, multiple_values=True)
        builder = ijson.ObjectBuilder()
        depth = num_values = 0
        for event, value in islice(events, _MAX_EVENTS):
            if num_values == 0:
                builder.event(event, value)
            depth += event in ("start_map", "start_array")
            depth -= event in ("end_map", "end_array")
            num_values += depth == 0
        is_whole = next(events, None) is None
        for _ in events:
            pass
        return builder.value, is_whole or num_values > 0


def _find_places(beginning: Any, is_whole: bool) -> Iterator[Place]:
    """Where records may stand, the outermost first."""
    level: list[tuple[str, list[Any]]] = [("", [beginning])]
    for _ in range(_MAX_DEPTH):
        yield from (place for prefix, values in level for place in _places_of(prefix, values, is_whole))
        level = [inner for prefix, values in level for inner in _inner(prefix, values)]


def _places_of(prefix: str, values: Sequence[Any], is_whole: bool) -> Iterator[Place]:
    # The last element may be cut where the beginning ends.
    sound = values[:-1] if not is_whole and len(values) > 1 else values
    samples = [record for value in sound[:_NUM_SAMPLES] if isinstance(record := _as_record(value), dict) and record]
    if len(values) == 1 and isinstance(values[0], Mapping) and (keyed := _keyed_samples(values[0])):
        yield Place(prefix, True, keyed)
    if samples:
        yield Place(prefix, False, tuple(samples))


def _keyed_samples(value: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The entries of an object whose keys may be ids: all of one kind, and alike."""
    entries = list(islice(value.items(), _NUM_SAMPLES))
    kinds = {type(inner) for _, inner in entries}
    if len(entries) < 2 or len(kinds) != 1 or not kinds & {dict, list}:
        return ()
    if any(plain(key) in _WRAPPERS for key, _ in entries):
        return ()
    if kinds == {dict} and len({frozenset(inner) for _, inner in entries}) > max(1, len(entries) // 2):
        return ()
    records = [_keyed(key, inner) for key, inner in entries]
    return tuple(record for record in records if isinstance(record, dict))


def _inner(prefix: str, values: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The lists and objects inside: what stands in a list under `item`, what stands in an object under its key."""
    if all(isinstance(value, list) for value in values):
        yield _join(prefix, "item"), [each for value in values for each in value][: _NUM_SAMPLES + 1]
        return
    found: dict[str, list[Any]] = {}
    for value in values[:_NUM_SAMPLES]:
        for key, inner in value.items() if isinstance(value, Mapping) else ():
            if isinstance(inner, list | Mapping):
                found.setdefault(key, []).append(inner)
    for key, inners in islice(found.items(), 100):
        if all(isinstance(inner, list) for inner in inners):
            elements = [each for inner in inners for each in inner]
            yield _join(_join(prefix, key), "item"), elements[: _NUM_SAMPLES + 1]
        else:
            yield _join(prefix, key), inners


def _join(prefix: str, step: str) -> str:
    return f"{prefix}.{step}" if prefix else step


def _as_record(value: Any) -> Any:
    """A bare list of turns is a conversation too."""
    if isinstance(value, list) and value and all(isinstance(each, dict | list) for each in value):
        return {"turns": value}
    return value


def _keyed(key: str, value: Any) -> Any:
    record = _as_record(value)
    return {KEY: key, **record} if isinstance(record, Mapping) else record


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise RowError(f"{value!r} is no value of JSON.")


@contextmanager
def _stream(content: Content, encoding: str) -> Iterator[BinaryIO]:
    """The document in UTF-8, as the parser takes it."""
    with content.open() as binary:
        if encoding == "utf-8":
            yield binary
        else:
            with io.TextIOWrapper(binary, encoding) as text:
                yield _Utf8(text)  # type: ignore[misc]


class _Utf8:
    """Text of any encoding as bytes of UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def read(self, size: int = -1) -> bytes:
        return self._text.read(size).lstrip("\ufeff").encode("utf-8", "replace")


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Raises SourceError where the document is no JSON."""
    import ijson

    try:
        yield
    except ijson.IncompleteJSONError as error:
        raise SourceError(
            f"{name}: the JSON is cut off or broken ({_first_line(error)}). Was the export finished? A file of one "
            "object a line is read line by line."
        ) from None
    except (ijson.JSONError, ValueError, RecursionError) as error:
        if isinstance(error, UnicodeError):
            raise
        raise SourceError(f"{name}: this is no valid JSON ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:100] or type(error).__name__
