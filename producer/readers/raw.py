"""What a reader takes from an export before it is decided which side each turn belongs to. Pure values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from aftercall.conversation import Speaker

#: What an entry of an export is: something said to the other side, a note among colleagues, or a system's event.
Kind = Literal["message", "note", "event"]


# Not frozen: an export makes millions of these, and freezing makes each five times as slow to create.
@dataclass(slots=True, unsafe_hash=True)
class RawTurn:
    """One entry of an export, as it was written. Nobody changes one; `dataclasses.replace` makes another."""

    text: str
    #: Who wrote it, in the export's words: a role, a name, an address, an id. Empty if the export doesn't say.
    label: str = ""
    #: The side, where a role word or the layout settles it. None: decided over the whole file, by `sides`.
    speaker: Speaker | None = None
    kind: Kind = "message"
    #: Seconds since 1970, or None if there is no time or it can't be parsed.
    time: float | None = None
    is_html: bool = False
    is_email: bool = False


@dataclass(frozen=True, slots=True)
class RawConversation:
    """One conversation of an export, its turns in the order of the file."""

    external_id: str
    turns: tuple[RawTurn, ...]


#: A row's line and its cells.
RowOrigin = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RawRow:
    """A raw conversation and what it came from."""

    #: The first line of the source that it came from.
    line: int
    conversation: RawConversation
    #: Gives its rows as they were, in case they are rejected; while this conversation is the last one read.
    rows: Callable[[], Iterable[RowOrigin]]
    #: The row as it was, where one row is one conversation.
    row: tuple[str, ...] = ()
    #: Whether its texts hold no markup and no quoted history, so that nothing needs to be done to them.
    is_plain: bool = False
    #: Turns with a time that could not be read.
    num_unreadable: int = 0
    #: Rows that said the same as another one.
    num_repeats: int = 0
