"""What passes between the readers: records in, rows and rejections out. Knows no format and no shape."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aftercall.conversation import Conversation

#: One cell as a shape sees it: text, or a list (of turns) where the source is JSON.
Value = str | list[Any]
Picker = Callable[[Sequence[str]], Sequence[Value]]

#: What stands in a cell for nothing at all: pandas, databases and Excel write it.
MISSING = frozenset(("nan", "NaN", "NAN", "null", "NULL", "Null", "\\N", "<NA>", "NaT", "#N/A"))
MAX_MISSING_CHARS = max(map(len, MISSING))
#: What is nothing as an id only: a customer may well say "None".
_MISSING_IDS = frozenset(("None", "none", "N/A", "n/a", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!"))

#: `1.23457E+15`: what a spreadsheet or a program makes of a long number.
_SCIENTIFIC = re.compile(r"-?\d(?:[.,]\d+)?e\+\d{1,3}", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
#: Floating-point numbers have no more digits than this one.
_MAX_EXACT = 1 << 53

#: Ids are keys in the ledger, and PostgreSQL's index takes no long ones.
MAX_ID_CHARS = 255


class RowError(ValueError):
    """A row cannot be used; the message is the reason that the caller reads beside it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not read, and why."""

    #: The line of the source on which the row starts.
    line: int
    reason: str
    #: The row as it was: its cells, or the one JSON line.
    row: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One conversation as the source has it; nothing is cleaned."""

    #: The first line of the source that the conversation came from.
    line: int
    conversation: Conversation
    #: The row as it was, where one row is one conversation.
    row: tuple[str, ...] = ()


Outcome = SourceRow | Rejected


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table, of whatever format."""

    line: int
    cells: tuple[str, ...]

    def rejected(self, reason: str | Exception) -> Rejected:
        """The same row, with the reason for which it is not read."""
        return Rejected(self.line, str(reason), self.cells)


class Table(Protocol):
    """A source as rows under named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that can be picked."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """What the cells of a record are called; one column of whole lines where the source is JSON."""
        ...

    def records(self) -> Iterator[Record | Rejected]:
        """Every row, in the source's order; may be called again."""
        ...

    def picker(self, names: Sequence[str | None], optional: Collection[str | None] = ()) -> Picker:
        """A function from a record's cells to the values of these columns ("" for None); raises RowError.

        A row that was cut short, as writers do where its last cells are empty, may lack the `optional` columns alone.
        """
        ...


def present(cell: str) -> str:
    """A cell's text; empty if what stands there means that there is none."""
    return cell if len(cell) > MAX_MISSING_CHARS or cell not in MISSING else ""


def take_id(value: Value, column: str | None) -> str:
    """A conversation's id, which must be short, storable text.

    Raises RowError.
    """
    external_id = present(value.strip()) if isinstance(value, str) else ""
    if external_id[:2] == '="' and external_id[-1:] == '"':  # how exports keep Excel from rounding a number
        external_id = external_id[2:-1]
    if not external_id or external_id in _MISSING_IDS:
        raise RowError(f"no id in column {column!r}; every row needs one.")
    if len(external_id) > MAX_ID_CHARS or not external_id.isprintable():
        raise RowError(f"the id in column {column!r} is longer than {MAX_ID_CHARS} characters or not printable.")
    if "+" in external_id and _SCIENTIFIC.fullmatch(external_id):
        raise RowError(_rounded(external_id, column))
    if "." in external_id and (whole := _WHOLE_FLOAT.fullmatch(external_id)):
        if len(whole[1]) > len(str(_MAX_EXACT)) or abs(int(whole[1])) > _MAX_EXACT:
            raise RowError(_rounded(external_id, column))
        return whole[1]
    return external_id


def _rounded(external_id: str, column: str | None) -> str:
    return (
        f"the id {external_id[:40]!r} in column {column!r} is a rounded number: its last digits were lost in Excel or "
        "another spreadsheet (scientific notation), and several conversations may share it. Export again and do not "
        "save the file in a spreadsheet, or format the column as text first."
    )


def take_text(value: Value) -> str:
    """What is said in a turn; may be empty.

    Raises RowError if it is anything but a string.
    """
    if not isinstance(value, str):
        raise RowError(f"the text is {str(value)[:40]!r}; expected a string.")
    return present(value)
