"""The front door for what comes in: open a source, iterate its conversations and its rejected rows.

Recognises container, encoding, delimiter and layout; the readers behind it do the rest. Nothing is cleaned here, and
nothing is sent: this module knows no database and no queue. What is wrong with a source as a whole raises SourceError
when it is opened; what is wrong with a row comes out as `Rejected`, and the rest goes on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self

from aftercall.errors import SourceError
from aftercall.redaction import REDACTION_VERSION, Mode
from producer.parts import Part, open_parts
from producer.readers.account import Account
from producer.readers.containers.content import Contents, readable, staying_as_it_was
from producer.readers.containers.limits import Limits
from producer.readers.containers.locate import locate_all
from producer.readers.layouts.columns import FIELDS, OwnFileError, parse_mapping
from producer.readers.layouts.layout import Layout, Shape
from producer.readers.raw import RawConversation, RawRow
from producer.readers.rows import Outcome, Rejected, SourceRow
from producer.readers.sides.side_rules import SideRules, parse_rules
from producer.reading import Reading

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
    #: The name of a shipped layout, or the path of a user's own.
    layout: str | None = None
    #: Patterns of names, separated by commas: who is on which side.
    agents: str | None = None
    customers: str | None = None
    #: Notes among colleagues are read as the company's turns.
    keep_notes: bool = False
    #: What is a warning otherwise refuses the source.
    is_strict: bool = False
    #: What of the cleaned conversations becomes placeholders.
    redact: Mode = "off"
    #: Digest of the adapter that is to summarize it; empty: the base model alone; None: whichever is served.
    adapter_digest: str | None = None

    def __post_init__(self) -> None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(self.delimiter or "", self.delimiter)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n" \0'):
            raise SourceError(f"the delimiter {self.delimiter!r} is not one character; try ',' or 'tab'.")
        object.__setattr__(self, "delimiter", delimiter)
        parse_rules(self.agents, self.customers)

    @property
    def rules(self) -> SideRules:
        """Who is on which side, as the caller told it."""
        return parse_rules(self.agents, self.customers)


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was recognised. Iterating reads it from its start, row by row; closing it frees what it holds."""

    name: str
    encoding: str
    #: Names for the cells of a rejected row.
    columns: tuple[str, ...]
    limits: Limits
    #: Of the decompressed content and the options: the same file, read the same way, has the same digest.
    digest: str
    #: How it was read; filled anew by each iteration.
    account: Account = field(compare=False)
    _contents: Contents
    _parts: tuple[Part, ...]
    _options: SourceOptions

    @property
    def num_bytes(self) -> int:
        """Size of the files, as they lie on disk."""
        return sum(content.path.stat().st_size for content in self._contents)

    @property
    def layout(self) -> Layout:
        """How the records of its first file are read."""
        return self._parts[0].layout

    @property
    def shape(self) -> Shape:
        """What a record is."""
        return self.layout.shape

    @property
    def redact(self) -> Mode:
        """What of its cleaned conversations becomes placeholders."""
        return self._options.redact

    @property
    def adapter_digest(self) -> str | None:
        """The adapter that is to summarize it; empty: the base model alone; None: whichever is served."""
        return self._options.adapter_digest

    def __iter__(self) -> Iterator[Outcome]:
        for _, outcome in self.pairs():
            yield outcome

    def pairs(self) -> Iterator[tuple[RawConversation | None, Outcome]]:
        """Every conversation as it stands in the file, if it does, and as it is read."""
        self.account.begin(self.layout.name, self._parts[0].why)
        self.account.passed_over = [*self._contents.passed_over]
        with staying_as_it_was(self.name):
            reading = Reading(
                "" if self.layout.is_generic else f"{self.name} ({self.layout.title})",
                self._read,
                self._read_first,
                self._options.rules,
                self.account,
                keep_notes=self._options.keep_notes,
                max_chars=self._options.max_conversation_chars,
            )
            yield from reading.pairs()

    def _read(self) -> Iterator[RawRow | Outcome]:
        for part in self._parts:
            yield from part.read(self._options.max_conversation_chars)

    def _read_first(self) -> Iterator[RawRow | Outcome]:
        for part in self._parts:
            yield from part.first().read(self._options.max_conversation_chars)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._contents.close()


def open_source(path: str, options: SourceOptions | None = None) -> Source:
    """Recognise a source; `-` is stdin.

    Raises SourceError, with what to do, if it cannot be read as a whole, or if the options are strict and something
    about it is doubtful.
    """
    options = options or SourceOptions()
    contents = locate_all(path, options.limits)
    try:
        source = _recognise(contents, options)
        if options.is_strict:
            _refuse_doubt(source)
    except BaseException:
        contents.close()
        raise
    return source


def _recognise(contents: Contents, options: SourceOptions) -> Source:
    parts, passed_over = open_parts(contents, options)
    contents = Contents(contents.name, contents.members, (*contents.passed_over, *passed_over), contents.resources)
    return Source(
        name=contents.name,
        encoding=parts[0].encoding,
        limits=options.limits,
        columns=max((part.columns for part in parts), key=len),
        digest=_digest([part.digest for part in parts], parts[0].layout, options),
        account=Account(),
        _contents=contents,
        _parts=parts,
        _options=options,
    )


def _refuse_doubt(source: Source) -> None:
    for _ in source:
        pass
    if warnings := source.account.warnings:
        raise SourceError(f"{source.name}: {' '.join(warnings)} Refused, as --strict asks.")


def _digest(content_digests: list[str], layout: Layout, options: SourceOptions) -> str:
    told = (
        sorted(options.mapping.items()),
        options.encoding,
        options.delimiter,
        options.max_conversation_chars,
        options.agents,
        options.customers,
        options.keep_notes,
        layout if options.layout else None,
        # Redacted otherwise, the conversations are others. Without redaction, the digest is that of older versions.
        *((f"redacted {REDACTION_VERSION} {options.redact}",) if options.redact != "off" else ()),
        *((f"adapter {options.adapter_digest}",) if options.adapter_digest is not None else ()),
    )
    return sha256(f"{content_digests!r} {told!r}".encode()).hexdigest()
