"""Who speaks: the words and flags by which exports tell customer and company apart. Reads no file.

A word is compared without case, accents, punctuation, emoji and numbers: `END_USER`, `End-User 2` and `end user` are
one word. Names are nobody's side here; `sides` decides those over the whole source.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from aftercall.conversation import Speaker
from producer.readers.raw import Kind
from producer.readers.rows import RowError
from producer.readers.sides import roles

#: A side, or "note" or "event" for what nobody said to the other side.
Role = Speaker | Kind
_Side = TypeVar("_Side", bound=str)

#: Nobody calls a speaker by more than this; a longer label is a sentence.
_MAX_LABEL_CHARS = 80
_MAX_LABEL_WORDS = 5
_IN_BRACKETS = re.compile(r"^(.*?)[(\[{（【「<]([^()\[\]{}（）【】「」<>]*)[)\]}）】」>]\s*$")
#: Where a word ends in `EndCustomer` or `serviceRep`.
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_APART = re.compile(r"\s+[-–—|/,]\s+|[,|/;]\s*")


@lru_cache(maxsize=4096)
def plain_label(label: str) -> str:
    """What two spellings of one label have in common: no case, no invisible characters, single spaces."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return " ".join("".join(char for char in text if unicodedata.category(char) != "Cf").split())


@lru_cache(maxsize=4096)
def _plain_word(word: str) -> str:
    """The letters of a word and nothing else, without accents."""
    text = unicodedata.normalize("NFKD", word.casefold())
    letters = ("" if _is_mark(char) else char if char.isalpha() or char == "'" else " " for char in text)
    return unicodedata.normalize("NFC", " ".join("".join(letters).split()))


def _is_mark(char: str) -> bool:
    category = unicodedata.category(char)
    # Devanagari and Thai spell vowels with marks; those are letters of the word.
    return category == "Cf" or (category == "Mn" and unicodedata.combining(char) not in (0, 7, 9, 107))


def _table(words: str) -> frozenset[str]:
    return frozenset(plain for word in words.split(",") if (plain := _plain_word(word)))


_SIDES: dict[str, Speaker] = {
    **dict.fromkeys(_table(roles.USER_WORDS), "user"),
    **dict.fromkeys(_table(roles.AGENT_WORDS), "agent"),
}
_ROLES: dict[str, Role] = {
    **dict.fromkeys(_table(roles.EVENT_WORDS), "event"),
    **dict.fromkeys(_table(roles.NOTE_WORDS), "note"),
    **_SIDES,
}
#: Roles as transcripts spell them most, for a lookup without any normalisation.
PLAIN_SIDES: dict[str, Speaker] = {
    spelling: side
    for word, side in _SIDES.items()
    if word.isascii()
    for spelling in (word, word.capitalize(), word.title(), word.upper())
}
_SYSTEMS = _table("system, sistema, système, systeem, система, 系统, 系統, システム, 시스템, النظام")
_ENDINGS = _table(roles.AGENT_ENDINGS)
_NOTE_OPENINGS = frozenset(("note by", "note from", "comment by"))
#: The agent's side, but no person.
_BOTS = _table(roles.BOT_WORDS)
_OPENINGS = _table(roles.SIDE_OPENINGS)
_FIELDS = _table(roles.FIELD_WORDS)

_FLAGS: dict[str, Speaker] = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0", "inbound", "incoming", "in", "received"), "user"),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0", "outbound", "outgoing", "out", "sent"), "agent"),
}


@lru_cache(maxsize=4096)
def find_role(word: str) -> Role | None:
    """The side that a label such as `Customer`, `Anna (Agent)` or `Visitor 4711` names.

    "note" and "event" for labels of what is no speech; None for a name, or for a word that is not known.
    """
    if len(word) > _MAX_LABEL_CHARS:
        return None
    whole = _plain_word(word)
    if whole in _ROLES:
        return _ROLES[whole]
    if _CAMEL.search(word) and (apart := _plain_word(_CAMEL.sub(" ", word))) in _ROLES:
        return _ROLES[apart]
    if match := _IN_BRACKETS.match(word.strip()):
        outer, inner = match.groups()
        return find_role(inner) or (find_role(outer) if outer.strip() else None)
    if len(word.split()) > _MAX_LABEL_WORDS + 1:
        return None
    parts = {role for part in _APART.split(word) if (role := _ROLES.get(_plain_word(part)))}
    if len(parts) == 1:
        return parts.pop()
    return _phrase_role(whole, word) if not parts else None


def _phrase_role(phrase: str, written: str) -> Role | None:
    """The side of several words, by the last of them or else by the first, if the rest may be a name."""
    first, _, rest = phrase.partition(" ")
    words = written.split()
    if not rest or len(words) > _MAX_LABEL_WORDS:
        return None
    two = " ".join(phrase.split()[:2])
    if _ROLES.get(two) == "note" or two in _NOTE_OPENINGS:
        return "note"
    if rest.rpartition(" ")[2] in _ENDINGS and not any(word[0].islower() for word in words[:-1]):
        return "agent"
    if first in _OPENINGS and not any(word[0].islower() for word in words[1:]) and not is_field_word(written):
        return _SIDES[first]
    return None


def is_bot_word(label: str) -> bool:
    """Whether a label is a machine's, so that the agent may be somebody else."""
    return _plain_word(label) in _BOTS


def is_system_word(word: str) -> bool:
    """Whether this is the label under which dialogue systems speak."""
    return _plain_word(word) in _SYSTEMS


def is_role_word(word: str) -> bool:
    """Whether the word itself is a role, not only a phrase with a role in it."""
    return _plain_word(word) in _ROLES


@lru_cache(maxsize=4096)
def is_field_word(label: str) -> bool:
    """Whether a label is what forms, logs and preambles call a field, such as `Order number`."""
    plain = _plain_word(label)
    if "@" in label or len(plain.split()) > _MAX_LABEL_WORDS:
        return False
    return plain in _FIELDS or (plain.rpartition(" ")[2] in _FIELDS and plain not in _ROLES)


def last_known(sides: Sequence[_Side | None]) -> list[_Side | None]:
    """For each place the nearest side before it that is known."""
    known: list[_Side | None] = []
    last: _Side | None = None
    for side in sides:
        known.append(last)
        last = side or last
    return known


def take_speaker(word: object) -> Speaker:
    """The speaker that a word such as `Customer` or `rep` means.

    Raises RowError on a word that is not known. A `system` that speaks is a dialogue system, the company's voice.
    """
    role = find_role(str(word))
    if role == "user" or role == "agent":
        return role
    if is_system_word(str(word)):
        return "agent"
    raise RowError(
        f"unknown speaker {str(word)[:40]!r}; expected a word like user, customer, agent or support. "
        "If it is a name, say whose: --agents 'Maria*,Tom*' or --customers 'Jonas*'"
    )


def take_inbound(flag: object) -> Speaker:
    """The speaker by a flag that is true for what the customer wrote.

    Raises RowError on anything but true or false.
    """
    word = str(flag).strip().casefold()
    speaker = _FLAGS.get(word) or _FLAGS.get(re.split("[-_ ]", word, maxsplit=1)[0])
    if speaker is None:
        raise RowError(f"the inbound flag is {str(flag)[:40]!r}; expected true or false.")
    return speaker
