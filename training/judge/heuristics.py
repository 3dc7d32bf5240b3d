"""Describes a summary's form, and finds facts that its conversation does not contain, by rules.

The rules aim at precision, not recall: they find a number, name or link that the conversation does not contain, and
an action attributed to the wrong speaker. docs/training.md gives their rates on the human references.
"""

import re
from dataclasses import dataclass

_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
#: A capitalized word after a lower-case word or a comma is a name, not the start of a sentence.
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w’'-]+")

#: Words that annotators capitalize although they are not names.
_NO_NAMES = frozenset({"agent", "customer", "dm", "url", "link", "i", "id", "user", "here", "and", "the", "he", "she"})

_AGENT_COMPLAINS = re.compile(r"\bagent (?:is |was )?(?:complain\w*|frustrated|unhappy|angry|upset)\b", re.IGNORECASE)
_CUSTOMER_SERVES = re.compile(
    r"\bcustomer (?:is |has |have |was )?(?:apologi[sz]\w+|(?:assur|ask|request|inform|updat)\w* the customer)\b",
    re.IGNORECASE,
)

#: Length in words of a run that counts as copied if the conversation contains it.
COPY_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Wording:
    """What the rules find in one summary."""

    num_words: int
    num_sentences: int
    #: Ends with sentence punctuation.
    is_whole: bool
    #: Share of its runs of `COPY_LENGTH` words that the conversation contains, 0 to 1.
    copy_rate: float
    #: Numbers, names and links that the conversation does not contain.
    unsupported: tuple[str, ...]
    is_role_swapped: bool


def describe(summary: str, conversation: str) -> Wording:
    """Apply the rules to a summary of `conversation` (its cleaned text)."""
    words = _words(summary)
    return Wording(
        num_words=len(summary.split()),
        num_sentences=len([part for part in _SENTENCE_END.split(summary) if part.strip()]),
        is_whole=summary.rstrip().endswith((".", "!", "?", "…")),
        copy_rate=_copy_rate(words, _words(conversation)),
        unsupported=find_unsupported(summary, conversation),
        is_role_swapped=bool(_AGENT_COMPLAINS.search(summary) or _CUSTOMER_SERVES.search(summary)),
    )


def find_unsupported(summary: str, conversation: str) -> tuple[str, ...]:
    """The numbers, names and links of a summary that its conversation does not contain, links first."""
    heard = conversation.casefold()
    # Punctuation after a link belongs to the sentence, not to the link.
    links = [link.rstrip(".,;:!?)") for link in _LINK.findall(summary)]
    rest = _LINK.sub(" ", summary)
    facts = [*links, *_NUMBER.findall(rest), *_NAME.findall(rest)]
    return tuple(fact for fact in facts if not _is_supported(fact, heard))


def _is_supported(fact: str, heard: str) -> bool:
    plain = fact.casefold().strip("'’-")
    stem = plain.removesuffix("'s").removesuffix("’s")
    return stem in _NO_NAMES or stem in heard


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _copy_rate(words: list[str], heard: list[str]) -> float:
    runs, heard_runs = _runs(words), set(_runs(heard))
    return sum(run in heard_runs for run in runs) / len(runs) if runs else 0.0


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + COPY_LENGTH]) for i in range(len(words) - COPY_LENGTH + 1)]
