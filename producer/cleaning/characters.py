"""Single characters: entities, what nobody sees, what no database takes. Knows no words."""

import html
import re

_ENTITY = re.compile("&[#A-Za-z]")
_MAX_ESCAPED = 8
#: Python refuses to convert more than 4,300 digits; no character has a number of more than 7.
_LONG_NUMBER = re.compile("&#([0-9]{8,})")
#: Control characters that are not white space, and lone halves of surrogate pairs: no database takes them.
_UNSAFE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
#: Soft hyphen, zero-width characters, direction marks, annotations, tags: text that hides in them is read by no person.
#: The two joiners stay between characters of the scripts and emoji that need them.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<![\u0600-\U000dffff])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0600-\U000dffff])"
)


def unescape_entities(text: str) -> str:
    """`&amp;` to `&`; exports are often escaped twice, so until nothing changes.

    What is still escaped after eight rounds was made to be, and loses its ampersands: the work stays bounded.
    """
    for _ in range(_MAX_ESCAPED):
        if "&" not in text or not _ENTITY.search(text):
            return text
        if "&#" in text:
            text = _LONG_NUMBER.sub(_shorten, text)
        plain = html.unescape(text)
        if plain == text:
            return text
        text = plain
    return text.replace("&", " ")


def _shorten(match: re.Match[str]) -> str:
    return f"&#{match[1].lstrip('0')[:8] or '0'}"


def replace_unseen(text: str) -> str:
    """Without characters that nobody sees; a space for NUL, other control characters and lone surrogates."""
    if text.isprintable():
        return text
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    return _UNSAFE.sub(" ", text)
