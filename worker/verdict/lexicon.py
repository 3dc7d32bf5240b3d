"""The words that the verdict knows, such as numbers, months and currencies; they are in `lexicon.json`."""

import json
from pathlib import Path
from typing import Any

_WORDS: dict[str, Any] = json.loads((Path(__file__).parent / "lexicon.json").read_text(encoding="utf-8"))


def _split(name: str) -> frozenset[str]:
    return frozenset(_WORDS[name].split())


#: By language, words that say which one a text is in, and nothing about what it is about.
COMMON: dict[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in _WORDS["common"].items()}
#: Stems that carry nothing in English prose of support conversations.
STOP_STEMS = COMMON["en"] | _split("stop_stems")
#: Numbers in words and their values, folded.
NUMBERS: dict[str, int] = _WORDS["numbers"]
#: Of these, what in words is a pronoun as well, or a count that a summary makes by itself.
SMALL = _split("small")
#: What a number is multiplied by when it is spoken.
FACTORS: dict[str, int] = _WORDS["factors"]
MONTHS: dict[str, int] = _WORDS["months"]
#: Days of the week; Monday is 0.
DAYS: dict[str, int] = _WORDS["days"]
#: Months and days that are words of their own in small letters.
AMBIGUOUS = _split("ambiguous")
#: ISO codes of currencies, by symbol and by word.
SYMBOLS: dict[str, str] = _WORDS["symbols"]
CURRENCIES: dict[str, str] = _WORDS["currencies"]
NEGATIONS = _split("negations")
#: Written with a capital in English prose, and no name.
NO_NAMES = _split("no_names")
