"""What passes between the readers: records in, rows and rejections out. Knows no format and no shape."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aftercall.conversation import Conversation

#: One cell as a shape sees it: text, or a list (of turns) where the source is JSON.
Value = str | list[Any]
Picker = Callable[[Sequence[str]], Sequence[Value]]

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

    def picker(self, names: Sequence[str | None]) -> Picker:
        """A function from a record's cells to the values of these columns ("" for None); raises RowError."""
        ...


def take_id(value: Value, column: str | None) -> str:
    """A conversation's id, which must be short, storable text.

    Raises RowError.
    """
    if not isinstance(value, str) or not (external_id := value.strip()):
        raise RowError(f"no id in column {column!r}; every row needs one.")
    if len(external_id) > MAX_ID_CHARS or not external_id.isprintable():
        raise RowError(f"the id in column {column!r} is longer than {MAX_ID_CHARS} characters or not printable.")
    return external_id


def take_text(value: Value) -> str:
    """What is said in a turn; may be empty.

    Raises RowError if it is anything but a string.
    """
    if not isinstance(value, str):
        raise RowError(f"the text is {str(value)[:40]!r}; expected a string.")
    return value
