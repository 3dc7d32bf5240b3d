"""The front door for what comes in: open a source, iterate its conversations and its rejected rows.

Recognises encoding, delimiter and shape; the readers behind it do the rest. Nothing is cleaned here, and nothing is
sent: this module knows no database and no queue. What is wrong with a source as a whole raises SourceError when it is
opened; what is wrong with a row comes out as `Rejected`, and the rest goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self

from aftercall.errors import SourceError
from producer.readers.columns import FIELDS, Columns, OwnFileError, Shape, is_known, parse_mapping, recognise
from producer.readers.content import Content, readable, staying_as_it_was
from producer.readers.conversations import read_conversations
from producer.readers.encoding import inspect
from producer.readers.jsonlines import is_json, read_json_lines
from producer.readers.limits import Limits
from producer.readers.locate import locate
from producer.readers.rows import Outcome, Rejected, SourceRow, Table
from producer.readers.table import read_table
from producer.readers.turns import read_turns
from producer.readers.tweets import read_tweets

__all__ = [
    "FIELDS",
    "OwnFileError",
    "Rejected",
    "Source",
    "SourceOptions",
    "SourceRow",
    "open_source",
    "parse_mapping",
    "readable",
]

_READERS: dict[Shape, Callable[[Table, Columns, int], Iterator[Outcome]]] = {
    "conversations": read_conversations,
    "turns": read_turns,
    "tweets": read_tweets,
}


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the caller knows better than the recognition."""

    #: Field to column, as `parse_mapping` reads it from --map; `readers.columns` lists the fields.
    mapping: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    #: One character, or `tab`.
    delimiter: str | None = None
    #: A longer conversation is rejected.
    max_conversation_chars: int = 1_000_000
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(self.delimiter or "", self.delimiter)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n" \0'):
            raise SourceError(f"the delimiter {self.delimiter!r} is not one character; try ',' or 'tab'.")
        object.__setattr__(self, "delimiter", delimiter)


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was recognised. Iterating reads it from its start, row by row; closing it frees what it holds."""

    name: str
    shape: Shape
    encoding: str
    #: Names for the cells of a rejected row.
    columns: tuple[str, ...]
    limits: Limits
    #: Of the decompressed content and the options: the same file, read the same way, has the same digest.
    digest: str
    _content: Content
    _table: Table
    _fields: Columns
    _max_chars: int

    @property
    def num_bytes(self) -> int:
        """Size of the file, as it lies on disk."""
        return self._content.path.stat().st_size

    def __iter__(self) -> Iterator[SourceRow | Rejected]:
        with staying_as_it_was(self.name):
            yield from _READERS[self.shape](self._table, self._fields, self._max_chars)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._content.close()


def open_source(path: str, options: SourceOptions | None = None) -> Source:
    """Recognise a source; `-` is stdin.

    Raises SourceError, with what to do, if it cannot be read as a whole.
    """
    options = options or SourceOptions()
    content = locate(path, options.limits)
    try:
        return _recognise(content, options)
    except BaseException:
        content.close()
        raise


def _recognise(content: Content, options: SourceOptions) -> Source:
    inspection = inspect(content, options.encoding)
    with staying_as_it_was(content.name):
        table = _open_table(content, inspection.encoding, options)
        is_without_rows = next(table.records(), None) is None
    try:
        shape, fields = recognise(table.names, options.mapping)
    except SourceError as error:
        raise type(error)(f"{content.name}: {error}") from None
    if is_without_rows:
        raise SourceError(
            f"{content.name}: the file has a header and no rows. Check the filter of the export, or whether it had "
            "ended."
        )
    return Source(
        name=content.name,
        shape=shape,
        encoding=inspection.encoding,
        columns=table.columns,
        limits=options.limits,
        digest=_digest(inspection.digest, options),
        _content=content,
        _table=table,
        _fields=fields,
        _max_chars=options.max_conversation_chars,
    )


def _open_table(content: Content, encoding: str, options: SourceOptions) -> Table:
    if options.delimiter is None and is_json(content, encoding):
        return read_json_lines(content, encoding)
    return read_table(content, encoding, options.delimiter, lambda names: is_known(names, options.mapping))


def _digest(content_digest: str, options: SourceOptions) -> str:
    told = (sorted(options.mapping.items()), options.encoding, options.delimiter, options.max_conversation_chars)
    return sha256(f"{content_digest} {told!r}".encode()).hexdigest()
