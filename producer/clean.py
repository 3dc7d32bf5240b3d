"""Cleaning, as the recipe has it: pure functions from text to text in a visible order, and its version.

Knows turns and characters. It knows no file and no database; HTML and e-mail are read before, by
`producer.cleaning.prepare`. Training cleans with these same functions, and `CLEANER_VERSION` lands in every job:
whoever changes what a step does changes the version too.

The steps are repeated until they change nothing, so cleaning twice changes nothing either.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from aftercall.conversation import Conversation, Speaker, Turn
from producer.cleaning.characters import replace_unseen, unescape_entities

CLEANER_VERSION = "2"

#: Fewer words than this in all, and there is nothing to summarize.
MIN_WORDS = 5

#: A link ends before white space, angle brackets, quotes and closing brackets, but a bracket that it opens belongs to
#: it; punctuation at its end belongs to the sentence.
_LINK_PART = r"""[^\s()<>\[\]{}"'`“”„«»‘’|]*"""
_LINK_END = rf"""{_LINK_PART}(?:\([^\s()<>"]*\){_LINK_PART})*(?<![.,:!?…*_~])"""
_LINK = re.compile(rf"(?:https?://|(?<![\w@])www\.(?=\w)){_LINK_END}", re.IGNORECASE)
#: Most links and handles stand between spaces. These are found in a fifth of the time and need no look around them.
_BARE_LINK = re.compile(r"https?://[\w/.?=&%#+-]*+(?<=[\w/])(?![^ ])")
_BARE_MENTION = re.compile(r" @(?:[A-Za-z_]\w*+|\d{5,}+)(?![^ ])")
#: A handle begins with a letter, or is a number that stands for a name: `@$15`, `@15 each` and `@5pm` are none, nor is
#: the second half of an e-mail address.
_NO_AMOUNT = r"\b(?![.,:]\d|\s*(?:each|per|am|pm|uhr|h|eur|usd|gbp)\b|\s*[%€$£])"
_MENTION = re.compile(
    rf"@(?<![\w+-]@)(?:[^\W\d]\w*|\d{{2,}}{_NO_AMOUNT}|\d\w{{4,}}|(?<=^@)\d{_NO_AMOUNT})"
    r"(?:@[\w.-]*\w)?(?:['’]s\b)?"
)
#: The handles that a tweet begins with: most tweets are done without them, in half the time.
_ADDRESSED = re.compile(r"(?:@(?:\d{5,}+|[A-Za-z_][A-Za-z0-9_]*+) )++")
#: By `^JK`, `^Maria` or `^jk` agents sign; `x^2` and `^_^` are none.
_SIGNATURE = re.compile(r"\^(?<![\w^]\^)(?:[A-Z]\w{0,14}|[a-z]{2,3})\b|\^[A-Z]{2,3}(?=\s*$)")
_STICKY = frozenset(".,!?)]>")
_BRACKETS = frozenset(("()", "[]", "<>"))
#: What has none of these has nothing to take; asked one by one, which is faster than a loop over them.
_MARKS = ("@", "&", "^", "://", "ww.", "WW.")
_MAX_ROUNDS = 8

#: Thai and Lao, Burmese, Khmer, kana, Han: written without spaces, so that two characters count as a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]{{2}}|[^\W\d_{_UNSPACED}][^\s{_UNSPACED}]*")


def drop_links(text: str) -> str:
    """Without `https://…` and `www.…`."""
    text = _BARE_LINK.sub("", text)
    if "://" in text or "ww." in text or "WW." in text:
        text = _join(_LINK.split(text))
    return text


def drop_mentions(text: str) -> str:
    """Without `@handle`."""
    text = _BARE_MENTION.sub("", text)
    return _join(_MENTION.split(text)) if "@" in text else text


def drop_signatures(text: str) -> str:
    """Without the `^JK` by which agents sign."""
    return _SIGNATURE.sub("", text)


def _join(parts: list[str]) -> str:
    """What stood around links or handles: punctuation goes to the word before it, empty brackets go."""
    kept = parts[0]
    for part in parts[1:]:
        if kept and part and kept[-1] + part[0] in _BRACKETS:
            kept, part = kept[:-1], part[1:]
        if kept[-1:] == " " and part and part[0] in _STICKY:
            kept = kept[:-1]
        kept += part
    return kept


def flatten(text: str) -> str:
    """Without characters that nobody sees, and with no white space but the space."""
    return text if text.isprintable() else " ".join(replace_unseen(text).split())


def collapse_spaces(text: str) -> str:
    """One space between words, none around them."""
    while "  " in text:  # replacing takes a quarter less time than splitting
        text = text.replace("  ", " ")
    return text.strip(" ")


def clean_text(text: str) -> str:
    """One turn's text through every step, until nothing changes: most texts hold no mark and are done at once.

    What still changes after eight rounds was made to, and its marks become spaces: the work stays bounded.
    """
    text = flatten(text)
    if text[:1] == "@" and (addressed := _ADDRESSED.match(text)):
        text = text[addressed.end() :]
    if not _is_marked(text):
        return collapse_spaces(text)
    for _ in range(_MAX_ROUNDS):
        before, text = text, _take_marked(text)
        if text == before or not _is_marked(text):
            return text
    for mark in _MARKS:
        text = text.replace(mark, " ")
    return collapse_spaces(text)


def _is_marked(text: str) -> bool:
    return "@" in text or "&" in text or "^" in text or "://" in text or "ww." in text or "WW." in text


def _take_marked(text: str) -> str:
    """The steps in their order, each one where there may be work for it."""
    if "&" in text:
        text = flatten(unescape_entities(text))
    if "://" in text or "ww." in text or "WW." in text:
        text = drop_links(text)
    if "@" in text:
        text = drop_mentions(text)
    if "^" in text:
        text = drop_signatures(text)
    return collapse_spaces(text)


def clean_turns(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turns with clean text: empty ones are gone, consecutive ones of one speaker are joined by a space."""
    speakers: list[Speaker] = []
    runs: list[list[str]] = []
    for turn in turns:
        text = clean_text(turn.text)
        if not text:
            continue
        if speakers and speakers[-1] == turn.speaker:
            runs[-1].append(text)
        else:
            speakers.append(turn.speaker)
            runs.append([text])
    return tuple(map(Turn, speakers, map(" ".join, runs)))


def clean_conversation(conversation: Conversation) -> Conversation:
    """The conversation as it is sent and stored; the caller's id stays as it is."""
    return Conversation(conversation.external_id, clean_turns(conversation.turns))


def has_content(turns: Sequence[Turn]) -> bool:
    """Whether there is anything to summarize: at least five words in all, of whichever speaker.

    A word starts at a letter and ends at white space, so links, amounts and emoji are none. In scripts
    written without spaces two characters count as a word.
    """
    words = chain.from_iterable(_WORD.finditer(turn.text) for turn in turns)
    return len(list(islice(words, MIN_WORDS))) == MIN_WORDS
