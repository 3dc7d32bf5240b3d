"""The files of a source, each recognised: its encoding, its table, its layout. Files of turns of one kind are joined.

A file among several that is nothing to read is passed over, with its reason; if none can be read, the first reason is
the source's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Protocol

from aftercall.errors import SourceError
from producer.readers.chats import mbox, whatsapp
from producer.readers.containers.content import Content, Contents, staying_as_it_was
from producer.readers.containers.encoding import digest_of, inspect
from producer.readers.conversations import read_conversations
from producer.readers.joined import HeadTable, JoinedTable
from producer.readers.jsonlines import read_json_lines
from producer.readers.layouts.columns import is_known
from producer.readers.layouts.documents import read_document, tell_form
from producer.readers.layouts.items import ItemReader
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.recognition import Recognised, choose, sample_times
from producer.readers.raw import RawConversation, RawRow
from producer.readers.rows import Outcome, Rejected, Table
from producer.readers.tabular.table import read_table
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
    layout: Layout
    why: str
    #: The records; the bytes alone where the format has none that a layout could describe.
    records: Table | Content
    #: Times of the first records, by which it is known where the day stands in them.
    times: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names for the cells of a rejected row."""
        return _FORMATS[self.layout.name].columns if isinstance(self.records, Content) else self.records.columns

    def first(self) -> "Part":
        """The same of its first records alone, where the shape is such that all are sorted first."""
        if isinstance(self.records, Content) or self.layout.shape == "conversations":
            return self
        return replace(self, records=HeadTable(self.records))

    def read(self, max_chars: int) -> Iterator[RawRow | Outcome]:
        """Every raw conversation, and every row that makes none."""
        for row in self._rows(max_chars):
            yield replace(row, reason=f"{self.name}: {row.reason}") if self.name and isinstance(row, Rejected) else row

    def _rows(self, max_chars: int) -> Iterator[RawRow | Outcome]:
        if isinstance(self.records, Content):
            yield from _FORMATS[self.layout.name].read(self.records, self.encoding, max_chars)
        elif self.layout.shape == "tweets":
            fields = {**self.layout.turn, "id": self.layout.id or ""}
            yield from read_tweets(self.records, fields, max_chars)
        else:
            prefix = f"{PurePosixPath(self.name).stem}-" if self.name else ""
            reader = ItemReader(self.layout, self.times, self.records, prefix)
            read = read_turns if self.layout.shape == "turns" else read_conversations
            yield from read(self.records, reader, max_chars)


@dataclass(frozen=True, slots=True)
class _Format:
    """A format of its own, whose conversations no layout describes."""

    layout: Layout
    columns: tuple[str, ...]
    read: Callable[[Content, str, int], Iterator[RawRow | Outcome]]


def _numbered(found: Iterator[tuple[int, RawConversation] | Rejected]) -> Iterator[RawRow | Outcome]:
    for row in found:
        yield row if isinstance(row, Rejected) else RawRow(*row, rows=lambda line=row[0]: [(line, ())])  # type: ignore[misc]


_FORMATS = {
    "mbox": _Format(
        Layout("mbox", "A mailbox: threads of e-mails", "conversations"),
        mbox.COLUMNS,
        lambda content, encoding, max_chars: _numbered(mbox.read_mbox(content, max_chars)),
    ),
    "whatsapp": _Format(
        Layout("whatsapp", "WhatsApp: one chat, as the app exports it", "conversations"),
        whatsapp.COLUMNS,
        lambda content, encoding, max_chars: _numbered(whatsapp.read_whatsapp(content, encoding, max_chars)),
    ),
}


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
    name = "" if is_alone else content.name
    if mbox.is_mbox(content.head()):
        return Part(name, "bytes", digest_of(content), _FORMATS["mbox"].layout, "it begins as a mailbox does", content)
    inspection = inspect(content, options.encoding)
    with staying_as_it_was(content.name):
        if options.delimiter is None and whatsapp.is_whatsapp(content, inspection.encoding):
            layout, why = _FORMATS["whatsapp"].layout, "it begins as an exported chat does"
            return Part(name, inspection.encoding, inspection.digest, layout, why, content)
        found, times = _recognise(content, inspection.encoding, options)
    return Part(name, inspection.encoding, inspection.digest, found.layout, found.why, found.table, times)


def _recognise(content: Content, encoding: str, options: PartOptions) -> tuple[Recognised, tuple[str, ...]]:
    table = _open_table(content, encoding, options)
    try:
        found = choose(table, options.mapping, options.layout)
    except SourceError as error:
        raise type(error)(f"{content.name}: {error}") from None
    if next(found.table.records(), None) is None:
        raise SourceError(
            f"{content.name}: the file has a header and no rows. Check the filter of the export, or whether it had "
            "ended."
        )
    return found, tuple(sample_times(found))


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
        table = JoinedTable(
            tuple((part.name, part.records) for part in (first, *others) if not isinstance(part.records, Content))
        )
        times = tuple(time for part in (first, *others) for time in part.times)
        yield replace(first, name="", digest=digest, records=table, times=times)
