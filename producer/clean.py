"""Cleaning, as the recipe has it: a visible list of pure functions from text to text, and its version.

Knows turns and characters. It knows no file and no database. Training cleans with these same functions, and
`CLEANER_VERSION` lands in every job: whoever changes what a step does changes the version too.

The order matters. What a step takes away it takes up to the next white space, and what cannot be kept becomes
a space, so no step puts together what an earlier one would have taken: cleaning twice changes nothing.
"""

import html
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice

from aftercall.conversation import Conversation, Speaker, Turn

CLEANER_VERSION = "1"

#: Fewer words than this in all, and there is nothing to summarize.
MIN_WORDS = 5

_ENTITY = re.compile("&[#A-Za-z]")
_MAX_ESCAPED = 8
#: Control characters that are not white space, and lone halves of surrogate pairs: no database takes them.
_UNSAFE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_URL = re.compile(r"http\S+")
_MENTION = re.compile(r"@\S+")
_SIGNATURE = re.compile(r"\^\S+")

#: Thai and Lao, Burmese, Khmer, kana, Han: written without spaces, so that two characters count as a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]{{2}}|[^\W\d_{_UNSPACED}][^\s{_UNSPACED}]*")


def unescape_entities(text: str) -> str:
    """`&amp;` to `&`; exports are often escaped twice, so until nothing changes.

    What is still escaped after eight rounds was made to be, and loses its ampersands: the work stays bounded.
    """
    for _ in range(_MAX_ESCAPED):
        if "&" not in text or not _ENTITY.search(text):
            return text
        plain = html.unescape(text)
        if plain == text:
            return text
        text = plain
    return text.replace("&", " ")


def replace_unsafe(text: str) -> str:
    """A space for NUL, other control characters and lone surrogates."""
    return text if text.isprintable() else _UNSAFE.sub(" ", text)


def drop_urls(text: str) -> str:
    """Without `http…`, up to the next white space."""
    return _URL.sub("", text) if "http" in text else text


def drop_mentions(text: str) -> str:
    """Without `@handle`, up to the next white space."""
    return _MENTION.sub("", text) if "@" in text else text


def drop_signatures(text: str) -> str:
    """Without the `^JK` by which agents sign, up to the next white space."""
    return _SIGNATURE.sub("", text) if "^" in text else text


def collapse_white_space(text: str) -> str:
    """One space between words, none around them, no line break."""
    if not text.isprintable():
        return " ".join(text.split())
    while "  " in text:  # the only white space in it; replacing takes a quarter less time than splitting
        text = text.replace("  ", " ")
    return text.strip(" ")


TEXT_STEPS: tuple[Callable[[str], str], ...] = (
    unescape_entities,
    replace_unsafe,
    drop_urls,
    drop_mentions,
    drop_signatures,
    collapse_white_space,
)


def clean_text(text: str) -> str:
    """One turn's text through every step."""
    for step in TEXT_STEPS:
        text = step(text)
    return text


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
