"""A chat as WhatsApp exports it: one conversation a file. A name such as `Acme Support` is a side.

`[date, time] Name: text` is how an iPhone writes a line, `date, time - Name: text` how Android does. A line that
begins otherwise goes on with the message above. What nobody wrote (the notice on encryption, "image omitted", who
joined) is an event: an iPhone marks it with U+200E, Android puts it in angle brackets or names nobody.
"""

import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from producer.readers.containers.content import Content
from producer.readers.conversations import too_long
from producer.readers.raw import Kind, RawConversation, RawTurn
from producer.readers.rows import MAX_ID_CHARS, Rejected, present
from producer.readers.sides.speakers import find_role

COLUMNS = ("line",)

_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\.?"
#: The part of the day is a word in the phone's language: `PM`, `p. m.`, `nachm.`, `下午`.
_TIME = r"(?:[^\W\d]{1,4}\s?)?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:\s?[^\W\d]{1,6}\.?(?:\s?[^\W\d]\.)?)?"
_OPENING = re.compile(rf"[\u200e\ufeff]*(?:\[{_DATE},?\s{_TIME}\]|{_DATE},?\s{_TIME}\s-)\s")
_NAME = re.compile(r"([^:\n]{1,100}):(?:\s|$)")
_PLACEHOLDER = re.compile(
    r"\u200e.*|<[^<>\n]{1,200}>|(?:this message was deleted|you deleted this message|waiting for this message|"
    r"missed (?:voice|video) call|diese nachricht wurde gelöscht|ce message a été supprimé|se eliminó este mensaje|"
    r"questo messaggio è stato eliminato|mensagem apagada|dit bericht is verwijderd)[^\n]{0,40}",
    re.DOTALL | re.IGNORECASE,
)
#: Behind a message that was edited, or that is the caption of a picture.
_ADDED = re.compile(r"\s*\u200e<[^<>\n]{1,200}>\s*$")

#: How an iPhone calls the chat inside its ZIP, which has the name of the chat.
_CHAT_FILE = "_chat.txt"
_HEAD_LINES = 5
_MAX_HEAD_CHARS = 1 << 14


def is_whatsapp(content: Content, encoding: str) -> bool:
    """Whether the file begins as an exported chat does."""
    with content.open() as binary, io.TextIOWrapper(binary, encoding, errors="replace") as stream:
        lines = stream.read(_MAX_HEAD_CHARS).split("\n")
    first = [line for line in lines if line.strip()][:_HEAD_LINES]
    opened = [match.end() for line in first if (match := _OPENING.match(line))]
    return bool(opened) and _OPENING.match(first[0]) is not None


def read_whatsapp(content: Content, encoding: str, max_chars: int) -> Iterator[tuple[int, RawConversation] | Rejected]:
    """The one conversation of the file, with the number of its first line, or rejected if it is too long."""
    turns: list[RawTurn] = []
    num_chars = 0
    with content.open() as binary, io.TextIOWrapper(binary, encoding) as stream:
        for turn in _messages(stream):
            turns.append(turn)
            num_chars += len(turn.text) + 1
            if num_chars > max_chars:
                yield Rejected(1, too_long(max_chars), (turns[0].text,))
                return
    yield 1, RawConversation(_chat_name(content.name), tuple(turns))


def _messages(stream: Iterator[str]) -> Iterator[RawTurn]:
    said: list[str] = []
    label = ""
    is_begun = False
    for line in stream:
        opening = _OPENING.match(line)
        if opening is None:
            said.append(line)
            continue
        if is_begun:
            yield _turn(label, said)
        is_begun = True
        rest = line[opening.end() :]
        name = _NAME.match(rest)
        label = name[1].strip("\u200e\u202a\u202c ~\u202f\xa0") if name else ""
        said = [rest[name.end() :] if name else rest]
    if is_begun:
        yield _turn(label, said)


def _turn(label: str, said: list[str]) -> RawTurn:
    text = "".join(said).strip(" \t\r\n")
    is_event = not label or _PLACEHOLDER.fullmatch(text) is not None
    kind: Kind = "event" if is_event else "message"
    role = find_role(label)
    side = role if role == "user" or role == "agent" else None
    return RawTurn(text if is_event else present(_ADDED.sub("", text)), label, side, kind)


def _chat_name(name: str) -> str:
    """The conversation's id: the name of the file, or of the archive that a phone packed it in."""
    path = PurePosixPath(name)
    if path.name == _CHAT_FILE and path.parent.name:
        path = path.parent
    return path.stem[:MAX_ID_CHARS] or "1"
