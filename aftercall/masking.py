"""What people may see of a URL with a password in it, and of text that others wrote."""

import re
import unicodedata

#: A password may also be a parameter of the URL.
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*password[^=&]*=)[^&]*", re.IGNORECASE)

#: Control, format (bidirectional, zero-width, tag), surrogate, private-use characters; line and paragraph separators.
_UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def mask_password(url: str) -> str:
    """The URL with `***` in place of the password.

    Works on the raw string and masks up to the last `@`: a password with `/`, `?`, `#` or `@` in it that is not
    percent-encoded is parsed as part of the host, the path or the query, and would be shown there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        # Not a URL, so the password could be anywhere in it.
        return "(unreadable)"
    credentials, at, location = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    masked = f"{user}:***" if colon else user
    return _SECRET_PARAMETER.sub(r"\1***", f"{scheme}://{masked}{at}{location}")


def printable(text: str) -> str:
    """Text from outside for one line of a log or a terminal: what could move the cursor, hide or reorder is escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if _is_unprintable(character) else character for character in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE_CATEGORIES


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
