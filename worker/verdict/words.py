"""Words as the verdict compares them: stems, and which of four languages a text is in."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache

import snowballstemmer

from worker.verdict.lexicon import COMMON

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

_STEMMERS = {"en": "english", "de": "german", "es": "spanish", "fr": "french"}

#: So few common words say nothing about the language.
_MIN_COMMON = 3
#: How many times as many the likeliest language needs as the next one.
_MARGIN = 1.3


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without accents and without the 's of a possessive."""
    return [fold(word) for word in _WORD.findall(text)]


@lru_cache(maxsize=1 << 16)
def fold(word: str) -> str:
    """Lower case, no accents, no possessive."""
    plain = word.casefold().replace("’", "'").removesuffix("'s")
    if plain.isascii():
        return plain
    return "".join(each for each in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(each))


@lru_cache(maxsize=1 << 16)
def stem(word: str, language: str = "en") -> str:
    """The stem of a folded word by the language's Snowball rules."""
    stemmed: str = _stemmer(language).stemWord(word)
    return stemmed


def find_language(words: Sequence[str]) -> str | None:
    """en, de, es or fr, by the common words among these folded ones; None where they are too few."""
    counts = {language: sum(map(common.__contains__, words)) for language, common in _COMMON.items()}
    best = max(counts, key=lambda language: counts[language])
    others = max(count for language, count in counts.items() if language != best)
    return best if counts[best] >= _MIN_COMMON and counts[best] > _MARGIN * others else None


@cache
def _stemmer(language: str) -> "snowballstemmer.SnowballStemmer":
    return snowballstemmer.stemmer(_STEMMERS[language])


_COMMON = {language: frozenset(map(fold, words)) for language, words in COMMON.items()}
