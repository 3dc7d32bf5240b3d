"""Facts of a text in one spelling: numbers, amounts, dates, codes, names and links.

`£12`, `12 pounds` and `twelve pounds` are one amount; `5 May`, `5/5` and `May 5th` one day. Only whole facts compare:
25 does not hold 2, and Anna is not Ann.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from worker.verdict.lexicon import AMBIGUOUS, CURRENCIES, DAYS, FACTORS, MONTHS, NUMBERS, SMALL, SYMBOLS
from worker.verdict.words import fold

#: Words that state a fact, or a part of one.
_SPECIAL = MONTHS.keys() | DAYS.keys() | NUMBERS.keys() | CURRENCIES.keys() | FACTORS.keys()

#: A word; a link; a code of letters and digits; a number, with what stands before it; a mark after which a capital is
#: no name. The first is tried first, as it is found most often.
_TOKEN = re.compile(
    r"(?P<word>(?!https?:|www\.)[^\W\d_]+(?:['’][^\W\d_]+)*)(?!\w|-\w*\d)"
    r"|(?P<link>(?:https?://|www\.)\S+)"
    r"|(?P<code>(?=[\w-]*\d)(?=[\w-]*[^\W\d_])[^\W_]+(?:-[^\W_]+)*)"
    r"|(?P<number>([£$€₹¥]\s?)?\d+(?:[.,:/-]\d+)*)"
    r"|(?P<mark>[.!?:;\n|\"“(])",
)
_SUFFIXED = re.compile(
    r"(\d+(?:[.,:]\d+)*)"
    r"(st|nd|rd|th|er|am|pm|a|p|h|k|kg|g|gb|mb|mbps|ml|l|cm|mm|m|km|w|x|%|s|min|mins|hrs|days?)"
)
#: 5/5, 5/5/26, 5.5.26 and 2026-05-05; 5-7 is a range.
_DATE = re.compile(
    r"(\d{1,2})/(\d{1,2})(?:/(\d{2,4}))?|(\d{1,2})[.-](\d{1,2})[.-](\d{2,4})|(\d{4})-(\d{1,2})-(\d{1,2})"
)
_TIME = re.compile(r"([01]?\d|2[0-3])\.([0-5]\d)")
_DAYS_OF_MONTH, _MONTHS_OF_YEAR = 31, 12
#: A smaller number in words is a pronoun, or a count that a summary makes by itself.
_MIN_COUNT = 4
_GAP = frozenset({"uh", "um", "er", "and", "then", "is", "that's", "ah", "eh", "okay", "ok", "yes", "yeah"})
#: Between a day and its month.
_OF = frozenset({"of", "the", "de", "du"})


@dataclass(slots=True)
class Facts:
    """What a text states, each fact in one spelling."""

    #: Values as decimal text: 12, 12.5; of dates, times and codes as well.
    numbers: set[str] = field(default_factory=set)
    #: (value, ISO code of the currency).
    amounts: set[tuple[str, str]] = field(default_factory=set)
    #: (day, month).
    dates: set[tuple[int, int]] = field(default_factory=set)
    months: set[int] = field(default_factory=set)
    #: 0 is Monday.
    weekdays: set[int] = field(default_factory=set)
    #: Minutes after midnight or noon.
    times: set[int] = field(default_factory=set)
    #: Letters and digits, without what stands between them.
    codes: set[str] = field(default_factory=set)
    #: Words with a capital inside a sentence, folded.
    names: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    #: All words, folded, in their order.
    words: list[str] = field(default_factory=list)
    #: Numbers in words, small ones as well: what a text may hold and need not answer for.
    spoken: set[str] = field(default_factory=set)
    #: Digits in their order, a break where something else was said: numbers that were spelled out.
    digits: str = ""


def find_facts(text: str) -> Facts:
    """The facts of a text."""
    return _Finder(text).facts


class _Finder:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.facts = facts = Facts()
        self._digits: list[str] = []
        #: Numbers spoken one after the other: `one hundred and twenty`, `four four zero`.
        self._spoken: list[int] = []
        self._last_number: str | None = None
        self._day: int | None = None
        self._month: int | None = None
        self._currency: str | None = None
        #: Whether something was said that may go on.
        self._is_open = False
        is_start = True
        for found in _TOKEN.finditer(text):
            kind = found.lastgroup
            if kind == "mark":
                is_start = True
                continue
            if kind == "word":
                word = found[0]
                folded = fold(word)
                facts.words.append(folded)
                if folded in _SPECIAL:
                    self._take_special(folded, is_capital=word[0].isupper(), is_start=is_start)
                else:
                    if not is_start and word[0].isupper() and len(word) > 1:
                        facts.names.add(folded)
                    if self._is_open:
                        self._pass(folded)
            else:
                self._end_spoken()
                getattr(self, f"_take_{kind}")(found[0])
            is_start = False
        self._forget()
        facts.digits = "".join(self._digits)

    def _pass(self, word: str) -> None:
        """A word that states nothing: what was said before it ends, unless it is a filler."""
        if word in _OF:
            self._end_spoken()
        elif word not in _GAP:
            self._forget()

    def _take_link(self, text: str) -> None:
        self.facts.links.add(text.rstrip(".,;:!?)").casefold())

    def _take_code(self, text: str) -> None:
        folded = fold(text)
        if suffixed := _SUFFIXED.fullmatch(folded):
            self._add_number(suffixed[1], None, is_time=suffixed[2] in ("am", "pm", "h"))
            return
        self.facts.codes.add(re.sub(r"[^a-z0-9]", "", folded))
        self._digits.append(re.sub(r"\D", "", folded) + " ")
        self.facts.words += re.findall(r"[^\W\d_]+", folded)
        self._forget()

    def _take_number(self, text: str) -> None:
        symbol = SYMBOLS.get(text[0])
        self._add_number(text[1:].lstrip() if symbol else text, symbol, is_time=False)

    def _take_special(self, word: str, *, is_capital: bool, is_start: bool) -> None:
        """A month, a day of the week, a number or a currency."""
        self._is_open = True
        is_name = is_capital or word not in AMBIGUOUS
        if word in NUMBERS:
            self._spoken.append(NUMBERS[word])
            self.facts.spoken.add(str(NUMBERS[word]))
            if word not in SMALL:
                self.facts.numbers.add(str(NUMBERS[word]))
            return
        if word in FACTORS:
            self._spoken.append(-FACTORS[word])
            return
        self._end_spoken()
        if word in MONTHS and is_name:
            self._month = MONTHS[word]
            self.facts.months.add(self._month)
            if self._day:
                self.facts.dates.add((self._day, self._month))
            self._last_number = self._day = None
        elif word in DAYS and is_name:
            self.facts.weekdays.add(DAYS[word])
        elif word in CURRENCIES and self._last_number is not None:
            self.facts.amounts.add((self._last_number, CURRENCIES[word]))
        elif word in ("rs", "chf"):
            self._currency = CURRENCIES[word]

    def _end_spoken(self) -> None:
        """The numbers that were spoken in a row, as one, and digit by digit."""
        if not self._spoken:
            return
        values = _join_tens(self._spoken)
        whole, part = 0, 0
        for value in values:
            if value >= 0:
                part += value
            elif value == -100:
                part = max(part, 1) * 100
            else:
                whole, part = whole + max(part, 1) * -value, 0
        if len(values) > 1:
            self.facts.numbers.update(str(value) for value in values if value >= _MIN_COUNT)
            if min(values) < 0:
                self.facts.numbers.add(str(whole + part))
        elif values[0] >= _MIN_COUNT:
            self.facts.numbers.add(str(values[0]))
        self.facts.spoken.add(str(whole + part))
        self._digits += [str(value) for value in values if value >= 0]
        self._last_number = str(whole + part)
        self._note_day(self._last_number)
        self._spoken = []

    def _add_number(self, text: str, currency: str | None, *, is_time: bool) -> None:
        facts = self.facts
        self._is_open = True
        currency, self._currency = currency or self._currency, None
        self._digits.append(re.sub(r"\D", "", text))
        if ":" in text or is_time:
            hour, _, minute = text.replace(".", ":").partition(":")
            hour, minute = re.sub(r"\D", "", hour) or "0", re.sub(r"\D", "", minute)[:2]
            facts.times.add(int(hour) % 12 * 60 + int(minute or 0))
            facts.numbers.add(f"{int(hour)}:{minute}" if minute.strip("0") else str(int(hour)))
            return
        value = ""
        for part in re.split(r"[/-]", text):
            value = read_value(part)
            facts.numbers.add(value)
            if currency:
                facts.amounts.add((value, currency))
        self._last_number = value
        if not currency and (found := _DATE.fullmatch(text)):
            self._add_date([int(part) for part in found.groups() if part])
        if not currency and (found := _TIME.fullmatch(text)):
            facts.times.add(int(found[1]) % 12 * 60 + int(found[2]))
        self._note_day(value)

    def _add_date(self, parts: list[int]) -> None:
        """Day and month in either order; a year may stand at either end."""
        days = [part for part in parts if part <= _DAYS_OF_MONTH][:2]
        if len(days) < 2 or not min(days):
            return
        for day, month in (days, days[::-1]):
            if month <= _MONTHS_OF_YEAR:
                self.facts.dates.add((day, month))
                self.facts.months.add(month)

    def _note_day(self, value: str) -> None:
        # Two digits at most: Python refuses to read numbers of thousands of them.
        day = int(value) if value.isdigit() and len(value) <= 2 else 0
        self._day = day if 0 < day <= _DAYS_OF_MONTH else None
        if self._day and self._month:
            self.facts.dates.add((self._day, self._month))
            self._month = None

    def _forget(self) -> None:
        """What was said last does not go on."""
        self._end_spoken()
        if self._last_number is not None:
            self._digits.append(" ")
            self._last_number = self._day = None
        self._month = self._currency = None
        self._is_open = False


def _join_tens(values: list[int]) -> list[int]:
    """`seventy`, `nine` as 79."""
    joined: list[int] = []
    for value in values:
        if 0 < value < 10 and joined and joined[-1] in range(20, 100, 10):
            joined[-1] += value
        else:
            joined.append(value)
    return joined


@lru_cache(maxsize=1 << 14)
def read_value(text: str) -> str:
    """The value of a number in figures: `1,999`, `1.999,00` and `1999.00` are 1999."""
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return text.lstrip("0") or "0"
    last = max(text.rfind("."), text.rfind(","))
    head, tail = text[:last], text[last + 1 :]
    # Three digits behind a lone mark are thousands.
    is_fraction = len(tail) != 3 or len(set(marks)) == 2
    whole = re.sub(r"[.,]", "", head if is_fraction else text).lstrip("0") or "0"
    fraction = tail.rstrip("0") if is_fraction else ""
    return f"{whole}.{fraction}" if fraction else whole
