"""Words as the verdict compares them: stems, and which of four languages a text is in."""

import re
import unicodedata
from functools import cache, lru_cache

import snowballstemmer

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

#: Words that say which language a text is in, and nothing about what it is about.
_COMMON = {
    "en": "the a an and or but if of to in on at for from with by is are was were be been has have had do does did it its "
    "this that these those he she they them his her their i you your we our my me as not no so will would can could "
    "should there here what which who when where how why than then too very just also about after before up out over "
    "into because while until still again any some all more most such only own same other s t ll ve re d m",
    "de": "der die das den dem des ein eine einen einem einer und oder aber nicht kein keine ich du er sie es wir ihr "
    "mir mich ist sind war habe hat haben wird werden mit von zu im in auf für bei nach aus wie was noch schon bitte "
    "auch nur sich dass",
    "es": "el la los las un una unos y o pero no de del en con por para que se lo le su sus mi me es son era ha he han "
    "está estoy ya más como al muy sin también hay",
    "fr": "le la les un une des et ou mais ne pas de du en avec pour par que qui se il elle nous vous je mon ma est sont "
    "était a ai ont été au aux sur dans ce cette plus bien merci votre",
}  # fmt: skip
_COMMON_SETS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_STEMMERS = {"en": "english", "de": "german", "es": "spanish", "fr": "french"}

#: In English prose of support conversations they carry nothing either.
STOP_STEMS = frozenset(
    _COMMON["en"].split()
    + [
        "custom",
        "agent",
        "user",
        "caller",
        "compani",
        "support",
        "said",
        "say",
        "told",
        "ask",
        "want",
        "wanted",
        "get",
        "got",
        "made",
        "make",
        "one",
        "two",
    ]
)

#: So few common words say nothing about the language.
_MIN_COMMON = 3


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


def find_language(text: str) -> str | None:
    """en, de, es or fr, by its common words; None for a text of too few."""
    words = [word.casefold() for word in _WORD.findall(text)]
    counts = {language: sum(word in common for word in words) for language, common in _COMMON_SETS.items()}
    best = max(counts, key=lambda language: counts[language])
    others = max(count for language, count in counts.items() if language != best)
    return best if counts[best] >= _MIN_COMMON and counts[best] > 1.3 * others else None


@cache
def _stemmer(language: str) -> "snowballstemmer.SnowballStemmer":
    return snowballstemmer.stemmer(_STEMMERS[language])
