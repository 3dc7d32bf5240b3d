"""E-mail to what its writer newly wrote. Knows no HTML."""

import re

from producer.cleaning.history import find_new_lines, has_history
from producer.cleaning.phrases import load_phrases
from producer.cleaning.signature import drop_references, drop_signature

_MARGIN = " \t\xa0\u200b\ufeff"
_BLANK_LINES = re.compile(r"\n{3,}")
#: An automatic reply says so at once.
_MAX_OPENING = 400


def extract_new_text(text: str) -> str:
    """Without quoted history, signature, disclaimer and the marks of ticket systems; answers between quotes stay."""
    lines = find_new_lines(_split(drop_references(text)))
    return _BLANK_LINES.sub("\n\n", "\n".join(drop_signature(lines))).strip()


def looks_like_email(text: str) -> bool:
    """Whether there is quoted history in a text: `On … wrote:`, a block of `From:`, `Sent:`, `Subject:`, a divider.

    A text that begins with the subject of an automatic reply is an e-mail too.
    """
    if "\n" not in text:
        return False
    return has_history(_split(text)) or load_phrases().auto_subject.match(text[:_MAX_OPENING]) is not None


def is_auto_reply(text: str) -> bool:
    """Whether a message says at its start that no person wrote it."""
    return load_phrases().auto_reply.search(text[:_MAX_OPENING]) is not None


def _split(text: str) -> list[str]:
    """Lines without their margins and with one kind of space."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u202f", " ")
    return [line.strip(_MARGIN) for line in plain.split("\n")]
