"""One e-mail message: who wrote it, when, what it answers and what it says. Knows no mailbox."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parseaddr, parsedate_to_datetime

from producer.readers.raw import RawTurn
from producer.readers.rows import RowError

_MAX_PARTS = 1_000
_MAX_HEADER_CHARS = 100_000
_MAX_REFERENCES = 50
_MAX_PARTIES = 10

_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
#: "Re:" and its like in other languages, once or more.
_REPLY = re.compile(
    r"\s*(?:(?:re|aw|antw|antwort|sv|vs|vá|res|rif|r|odp|ynt|bls|回复|答复|返信|fw|fwd|wg|tr|rv|enc|vb|i|doorst)"
    r"(?:\[\d+\])?\s?[:：]\s*)+",
    re.IGNORECASE,
)
_AUTOMATIC = re.compile(r"auto-(?:replied|generated|notified)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, taken apart."""

    id: str
    #: The ids of the messages that it answers, the first of the thread first.
    references: tuple[str, ...]
    #: Without "Re:".
    subject: str
    is_reply: bool
    #: The addresses of those who wrote it and to whom.
    sender: str
    recipients: tuple[str, ...]
    turn: RawTurn


def parse_mail(source: bytes) -> Mail:
    """Take a message apart.

    Raises RowError if it cannot be.
    """
    try:
        message = message_from_bytes(source)
        text, is_html = _text(message)
    except (RecursionError, ValueError, LookupError, TypeError) as error:
        raise RowError(f"the message cannot be taken apart ({type(error).__name__}).") from None
    name, address = parseaddr(_header(message, "From"))
    subject = " ".join(_header(message, "Subject").split())
    reply = _REPLY.match(subject)
    sender = address.casefold() if "@" in address else name or address
    return Mail(
        id="".join(_ids(message, "Message-ID")[:1]),
        references=_references(message),
        subject=(subject[reply.end() :] if reply else subject).casefold(),
        is_reply=reply is not None,
        sender=sender,
        recipients=tuple(_addresses(message)),
        turn=RawTurn(
            text,
            sender,
            kind="event" if _is_automatic(message) else "message",
            time=_time(message),
            is_html=is_html,
            is_email=True,
        ),
    )


def _header(message: Message, name: str) -> str:
    """A header's text, decoded; empty if it is not there."""
    value = str(message.get(name, ""))[:_MAX_HEADER_CHARS]
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value


def _ids(message: Message, name: str) -> list[str]:
    return _MESSAGE_ID.findall(str(message.get(name, ""))[:_MAX_HEADER_CHARS])


def _references(message: Message) -> tuple[str, ...]:
    references = _ids(message, "References")
    return (*references[:1], *references[-_MAX_REFERENCES:], *_ids(message, "In-Reply-To")[:1])


def _addresses(message: Message) -> Iterator[str]:
    for _, address in getaddresses([_header(message, "To")])[:_MAX_PARTIES]:
        if address:
            yield address.casefold()


def _time(message: Message) -> float | None:
    try:
        moment = parsedate_to_datetime(_header(message, "Date"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _is_automatic(message: Message) -> bool:
    """Whether a machine answered: out of office, delivery failed."""
    return (
        _AUTOMATIC.match(_header(message, "Auto-Submitted")) is not None
        or message.get_content_type() == "multipart/report"
        or "X-Autoreply" in message
        or _header(message, "Precedence").casefold() == "auto_reply"
    )


def _text(message: Message) -> tuple[str, bool]:
    """What the message says, and whether it is HTML. Attachments are left out."""
    found: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for number, part in enumerate(message.walk()):
        if number >= _MAX_PARTS:
            raise RowError(f"the message has more than {_MAX_PARTS:,} parts.")
        kind = part.get_content_type()
        if kind in found and part.get_content_disposition() != "attachment":
            found[kind].append(_decode(part))
    plain = "\n".join(filter(str.strip, found["text/plain"]))
    return (plain, False) if plain else ("\n".join(found["text/html"]), True)


def _decode(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    for encoding in (part.get_content_charset(), "utf-8", "cp1252"):
        if encoding:
            try:
                return payload.decode(encoding)
            except (UnicodeError, LookupError):
                continue
    return payload.decode("utf-8", "replace")
