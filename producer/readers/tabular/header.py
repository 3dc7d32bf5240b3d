"""Where the header of a delimited file is, and what to say to one that has none. Knows no field.

Above it may stand `sep=;`, which Excel takes as the delimiter, and title rows: rows with fewer filled cells.
"""

import io
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from aftercall.errors import SourceError
from producer.readers.containers.content import Content
from producer.readers.rows import Record
from producer.readers.sides.speakers import find_role
from producer.readers.tabular.delimited import Lines, read_records

DELIMITERS = (",", ";", "\t", "|")

_HEAD_CHARS = 1 << 16
#: Records in which a header is looked for.
_HEAD_RECORDS = 30

_SEP_LINE = re.compile(r'"?sep=(.)"?[\s,;|]*', re.IGNORECASE)
_MAX_NAME_CHARS = 60
_MAX_NAME_WORDS = 6
#: A number, a date, a time, an address: what no column is called.
_VALUE = re.compile(r"[\d\s.,:/+TZ-]*\d[\d\s.,:/+TZ-]*|\S+@\S+\.\S+|https?://\S+", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}")
_LABEL = re.compile(r"[^:]{1,40}:\s")

IsKnown = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, and what stands above them."""

    delimiter: str
    names: tuple[str, ...]
    #: Whether the first line is `sep=…`.
    has_sep_line: bool = False
    #: Title rows.
    num_above: int = 0


def find_header(content: Content, head: str, delimiter: str | None, is_known: IsKnown) -> Header:
    """The header in the first characters of a file; without a delimiter, take the one that makes known columns of it.

    Raises SourceError if there is none.
    """
    sep_line = _SEP_LINE.fullmatch(head.partition("\n")[0].lstrip("\ufeff").rstrip("\r"))
    if sep_line:
        head = head.partition("\n")[2]
    told = delimiter or (sep_line[1] if sep_line else None)
    parsed = {candidate: list(_parse(head, candidate)) for candidate in ([told] if told else DELIMITERS)}
    found = {
        candidate: _find(candidate, rows, is_known, has_sep_line=bool(sep_line))
        for candidate, rows in parsed.items()
        if rows
    }
    if not found:
        raise SourceError(f"{content.name}: the file is empty but for white space.")
    best = max(found.values(), key=lambda header: (is_known(header.names), len(header.names)))
    rows = parsed[best.delimiter][best.num_above :]
    if not is_known(best.names) and not _looks_like_names(rows):
        raise SourceError(_without_header(content, best, rows))
    return best


def head_of(stream: io.TextIOBase) -> str:
    """The characters in which a header is looked for."""
    return stream.read(_HEAD_CHARS)


def _parse(head: str, delimiter: str) -> Iterator[tuple[str, ...]]:
    records = islice(read_records(Lines(io.StringIO(head, newline="")), delimiter), _HEAD_RECORDS)
    return (tuple(cell.strip("\ufeff \t") for cell in record.cells) for record in records if isinstance(record, Record))


def _find(delimiter: str, rows: Sequence[tuple[str, ...]], is_known: IsKnown, *, has_sep_line: bool) -> Header:
    """The first row of known names under rows that are less filled, or else the first row that is more than a title."""
    widths = [sum(map(bool, row)) for row in rows]
    for index, row in enumerate(rows):
        if all(width < widths[index] for width in widths[:index]) and is_known(row):
            return Header(delimiter, row, has_sep_line, index)
    first = next((index for index, width in enumerate(widths) if width > 1), 0)
    return Header(delimiter, rows[first], has_sep_line, first)


def _looks_like_names(rows: Sequence[tuple[str, ...]]) -> bool:
    first, below = rows[0], rows[1:]
    return all(map(_looks_like_name, filter(None, first))) and not any(
        _is_like(cell, row[index]) for index, cell in enumerate(first) for row in below if cell and index < len(row)
    )


def _looks_like_name(cell: str) -> bool:
    num_words = len(cell.split())
    return (
        len(cell) <= _MAX_NAME_CHARS
        and num_words <= _MAX_NAME_WORDS
        and "\n" not in cell
        and not _VALUE.fullmatch(cell)
        and not _LABEL.match(cell)
        and not (num_words > 2 and cell[-1] in ".!?")
    )


def _is_like(cell: str, other: str) -> bool:
    """Whether both are values of one column: the same, or the same but for their digits, as `T-1` and `T-2`."""
    shapes = [re.sub(r"\d+", "0", text) for text in (cell, other)]
    return cell == other or ("0" in shapes[0] and shapes[0] == shapes[1])


def _without_header(content: Content, header: Header, rows: Sequence[tuple[str, ...]]) -> str:
    """The refusal. It shows no cell: what stands where the header is missing are customers' words."""
    sentence = f"{content.name}: there is no header row: the first row holds values, not column names."
    if not header.delimiter.isprintable() and header.delimiter != "\t":
        return f"{sentence} Put a line with the column names above it."
    told = "" if header.delimiter in DELIMITERS else f" --delimiter {shlex.quote(header.delimiter)}"
    file = str(content.path)
    file = shlex.quote(file) if file.isprintable() and not content.is_spooled else "FILE"
    line = header.delimiter.join(_guess_names(rows)).replace("%", "%%").replace("\t", "\\t") + "\\n"
    return (
        f"{sentence} Put a line with the column names above it, for example\n"
        f"  {{ printf {shlex.quote(line)}; {content.reading_command} {file}; }} | aftercall submit{told} -"
    )


def _guess_names(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Names for the columns of a file without a header, that make a known shape of it where there is one."""
    columns = list(zip(*(row for row in rows if len(row) == len(rows[0])), strict=True))
    names = [f"column_{number}" for number in range(1, len(columns) + 1)]
    lengths = [sum(map(len, column)) for column in columns]
    speech = lengths.index(max(lengths))
    names[speech] = "transcript"
    for index, column in enumerate(columns):
        if index != speech and all(find_role(cell) is not None for cell in column):
            names[index], names[speech] = "speaker", "text"
        elif index != speech and all(map(_DATE.match, column)):
            names[index] = "time"
    unnamed = [index for index, name in enumerate(names) if name.startswith("column_")]
    if unnamed:
        names[unnamed[0]] = "conversation_id"
    return names
