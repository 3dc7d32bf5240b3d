"""The words in dates: months, weekdays, halves of the day and zones, in the languages that Babel has them in.

Without Babel, which is in the extra `exports`, only English is understood.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

_ENGLISH_MONTHS_WORDS = (
    "jan feb mar apr may jun jul aug sep oct nov dec january february march april june july august sept september "
    "october november december"
)
_ENGLISH_MONTHS = _ENGLISH_MONTHS_WORDS.split()
_ENGLISH_DAYS = "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun"
#: Languages whose exports are read. Where two of them give one name to different months, it is understood in neither.
_LOCALES_WORDS = "de fr es it pt pt_PT nl pl tr ru uk ar fa he el cs sk hu ro sv da nb fi bg lt lv et ca vi id hi th"
_LOCALES = _LOCALES_WORDS.split()
#: Between the parts of a date: `20. November 2025 um 10:02 Uhr`, `20 de noviembre de 2025`.
_FILLERS_WORDS = (
    "at um uhr le kl klo de del ore alle a las o om g r st nd rd th h в г on the den der vom time standard daylight"
)
_FILLERS = frozenset(_FILLERS_WORDS.split())

_BEFORE_NOON = frozenset(("am", "上午", "午前", "오전", "ص", "πμ", "öö", "vorm", "пп"))
_AFTER_NOON = frozenset(("pm", "下午", "午後", "오후", "م", "μμ", "ös", "nachm"))

#: Hours east of Greenwich. An abbreviation that several countries use stands for the one that most exports mean.
ZONES: Mapping[str, float] = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "WET": 0,
    "BST": 1,
    "WEST": 1,
    "CET": 1,
    "MEZ": 1,
    "CEST": 2,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "TRT": 3,
    "SAST": 2,
    "AST": -4,
    "ADT": -3,
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "AKST": -9,
    "AKDT": -8,
    "HST": -10,
    "BRT": -3,
    "ART": -3,
    "IST": 5.5,
    "PKT": 5,
    "ICT": 7,
    "WIB": 7,
    "SGT": 8,
    "HKT": 8,
    "PHT": 8,
    "AWST": 8,
    "JST": 9,
    "KST": 9,
    "EASTERN": -5,
    "CENTRAL": -6,
    "MOUNTAIN": -7,
    "PACIFIC": -8,
    "ACST": 9.5,
    "ACDT": 10.5,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "GST": 4,
}


def plain(word: str) -> str:
    """A word of a date without case, accents and dots."""
    text = unicodedata.normalize("NFKD", word.casefold())
    kept = "".join(char for char in text if char != "." and not unicodedata.combining(char))
    return unicodedata.normalize("NFC", kept)


@cache
def find_month(word: str) -> int | None:
    """1 to 12, or None if this is no month. The word is plain."""
    if word in _ENGLISH_MONTHS:
        return _ENGLISH_MONTHS.index(word[:3]) % 12 + 1
    return _foreign_months().get(word)


def find_half(word: str) -> str | None:
    """`AM` or `PM`, or None. The word is plain."""
    return "AM" if word in _BEFORE_NOON else "PM" if word in _AFTER_NOON else None


@cache
def is_filler(word: str) -> bool:
    """Whether a date means the same without this plain word, such as a weekday."""
    return word in _FILLERS or word in _ENGLISH_DAYS.split() or word in _foreign_days()


@cache
def _foreign_months() -> dict[str, int]:
    months: dict[str, int | None] = {}
    for number, word in _names("months"):
        months[word] = number if months.get(word, number) == number else None
    return {word: number for word, number in months.items() if number is not None}


@cache
def _foreign_days() -> frozenset[str]:
    return frozenset(word for _, word in _names("days"))


def _names(kind: str) -> Iterator[tuple[int, str]]:
    """Number and plain name of every month or weekday, in every language and form."""
    try:
        from babel import Locale
    except ImportError:
        return
    for code in _LOCALES:
        names = getattr(Locale.parse(code), kind)
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                yield from ((number, plain(name)) for number, name in names[form][width].items())
