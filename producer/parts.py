"""The files of a source, each recognised: its encoding, its table, its layout. Files of turns of one kind are joined.

A file among several that is nothing to read is passed over, with its reason; if none can be read, the first reason is
the source's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Protocol

from aftercall.errors import SourceError
from producer.readers.columns import is_known
from producer.readers.content import Content, Contents, staying_as_it_was
from producer.readers.conversations import read_conversations
from producer.readers.documents import read_document, tell_form
from producer.readers.encoding import inspect
from producer.readers.items import ItemReader
from producer.readers.joined import JoinedTable
from producer.readers.jsonlines import read_json_lines
from producer.readers.layout import Layout
from producer.readers.raw import RawRow
from producer.readers.recognition import choose, sample_times
from producer.readers.rows import Outcome, Rejected, Table
from producer.readers.table import read_table
from producer.readers.turns import read_turns
from producer.readers.tweets import read_tweets


class PartOptions(Protocol):
    """What the caller says about the files."""

    @property
    def mapping(self) -> Mapping[str, str]: ...

    @property
    def encoding(self) -> str | None: ...

    @property
    def delimiter(self) -> str | None: ...

    @property
    def layout(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a source, or several that are read as one."""

    #: Empty where the source is one file.
    name: str
    encoding: str
    digest: str
    table: Table
    layout: Layout
    why: str
    #: Times of the first records, by which it is known where the day stands in them.
    times: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names for the cells of a rejected row."""
        return self.table.columns

    def read(self, max_chars: int) -> Iterator[RawRow | Outcome]:
        """Every raw conversation, and every row that makes none."""
        if self.layout.shape == "tweets":
            fields = {**self.layout.turn, **({"id": self.layout.id} if self.layout.id else {})}
            rows: Iterator[RawRow | Outcome] = read_tweets(self.table, fields, max_chars)
        else:
            prefix = f"{PurePosixPath(self.name).stem}-" if self.name else ""
            reader = ItemReader(self.layout, self.times, self.table, prefix)
            read = read_turns if self.layout.shape == "turns" else read_conversations
            rows = iter(read(self.table, reader, max_chars))
        for row in rows:
            yield replace(row, reason=f"{self.name}: {row.reason}") if self.name and isinstance(row, Rejected) else row


def open_parts(contents: Contents, options: PartOptions) -> tuple[tuple[Part, ...], list[tuple[str, str]]]:
    """The files that can be read, and those that were passed over, with the reason.

    Raises SourceError if there is none to read.
    """
    parts: list[Part] = []
    passed_over: list[tuple[str, str]] = []
    refusals: list[SourceError] = []
    for content in contents:
        try:
            parts.append(_open(content, options, is_alone=len(contents) == 1))
        except SourceError as error:
            refusals.append(error)
            passed_over.append((content.name, str(error)))
    if not parts:
        raise refusals[0]
    return tuple(_join(parts)), passed_over


def _open(content: Content, options: PartOptions, *, is_alone: bool) -> Part:
    inspection = inspect(content, options.encoding)
    with staying_as_it_was(content.name):
        table = _open_table(content, inspection.encoding, options)
        is_empty = next(table.records(), None) is None
        try:
            found = choose(table, options.mapping, options.layout)
        except SourceError as error:
            raise type(error)(f"{content.name}: {error}") from None
        times = tuple(sample_times(found))
    if is_empty:
        raise SourceError(
            f"{content.name}: the file has a header and no rows. Check the filter of the export, or whether it had "
            "ended."
        )
    name = "" if is_alone else content.name
    return Part(name, inspection.encoding, inspection.digest, found.table, found.layout, found.why, times)


def _open_table(content: Content, encoding: str, options: PartOptions) -> Table:
    if options.delimiter is None:
        form = tell_form(content, encoding)
        if form == "lines":
            return read_json_lines(content, encoding)
        if form == "document":
            return read_document(content, encoding)
    return read_table(content, encoding, options.delimiter, lambda names: is_known(names, options.mapping))


def _join(parts: Sequence[Part]) -> Iterator[Part]:
    """Files of turns that are read the same way make one: a conversation may go on in the next file."""
    groups: dict[object, list[Part]] = {}
    for part in parts:
        is_joinable = part.layout.shape == "turns"
        key = (part.layout.name, part.layout.paths, part.columns) if is_joinable else part.digest + part.name
        groups.setdefault(key, []).append(part)
    for first, *others in groups.values():
        if not others:
            yield first
            continue
        digest = sha256("".join(part.digest for part in (first, *others)).encode()).hexdigest()
        table = JoinedTable(tuple((part.name, part.table) for part in (first, *others)))
        times = tuple(time for part in (first, *others) for time in part.times)
        yield replace(first, name="", digest=digest, table=table, times=times)


