"""Telephone numbers: by the ways in which countries write them, or by the words around them.

A library of all numbering plans was measured: it is slower, and takes order numbers for telephones, because it cannot
know which country a national number belongs to (docs/decisions).
"""

import re
from collections.abc import Iterator

from aftercall.redaction.context import is_phone, is_reference
from aftercall.redaction.kinds import Kind, Span

#: Between groups; several characters where a bracket closes.
_GAP = r"(?:[ ./-]|\) ?|\)-| \(| - | / )"
_CODES = (
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-689][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|"
    r"6[789][0-9]|8[057][0-9]|88[06]|9[679][0-9]"
)
_START = r"(?<![\w+#])(?<![0-9][.,/: -])"
_END = r"(?![\w%€$£])(?![.,:/-][0-9])(?! ?(?:€|\$|£|eur\b|usd\b|euros?\b|dollars?\b|kg\b|km\b))"
_EXTENSION = r"(?:,? ?(?:ext\.?|extension|x|durchwahl|poste) ?[0-9]{1,5})?"

#: With a country's code: seven to fifteen digits in all.
_INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?:\+ ?|(?<![0-9][ .,/-])00 ?)\(?(?:{_CODES})\)?(?:{_GAP}?\(0\){_GAP}?)?(?:{_GAP}?[0-9]){{6,13}}"
    rf"{_EXTENSION}(?![\w])(?![.,][0-9])",
    re.IGNORECASE,
)
_GROUPED = re.compile(
    _START + r"(?:"
    # North America: 555-123-4567, (555) 123-4567, 1-800-555-1234
    r"(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}([ .-]))[0-9]{3}(?(1)\1|[ .-])[0-9]{4}"
    # from 0 on, in groups: 020 7946 0958, 06 12 34 56 78, 030/1234567, (0171) 123 45 67
    r"|\(?0[1-9][0-9]{0,4}(?:\) ?|[ ./-]| ?/ ?|-)[0-9]{2,8}(?:[ .-][0-9]{2,4}){0,4}"
    # Brazil: (11) 98765-4321; Russia: 8 (495) 123-45-67; India: 98765 43210
    r"|\([1-9][0-9]\) ?9?[0-9]{4}[- ][0-9]{4}"
    r"|8 ?\([0-9]{3}\) ?[0-9]{3}-[0-9]{2}-[0-9]{2}"
    r"|[6-9][0-9]{4} [0-9]{5}"
    r")" + _EXTENSION + _END,
    re.IGNORECASE,
)
#: From 0 on, without groups.
_TRUNK = re.compile(_START + r"0[1-9][0-9]{8,9}" + _END)
#: Any other: only where words say so.
_NAMED = re.compile(_START + r"\(?[0-9](?:(?:[ ./-]|\) ?| - )?[0-9]){5,13}" + _EXTENSION + _END, re.IGNORECASE)
_DATE = re.compile(
    r"(?:(?:0?[1-9]|[12][0-9]|3[01])[./-](?:0?[1-9]|[12][0-9]|3[01])[./-](?:[12][0-9])?[0-9]{2}"
    r"|(?:19|20)[0-9]{2}[./-](?:0[1-9]|1[0-2])[./-](?:0[1-9]|[12][0-9]|3[01]))(?![./-]?[0-9])"
)
_YEARS = re.compile(r"(?:19|20)[0-9]{2} ?[-/] ?(?:19|20)[0-9]{2}")


def find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers, of seven digits and more; what is named an order, a ticket or a price is none."""
    for match in _INTERNATIONAL.finditer(text):
        if 7 <= _num_digits(match[0]) <= 16 and not (match[0][0] == "0" and is_reference(text, match.start())):
            yield _to_span(match)
    for match in (*_GROUPED.finditer(text), *_TRUNK.finditer(text)):
        if 9 <= _num_digits(match[0]) <= 16 and not _is_date(match[0]) and not is_reference(text, match.start()):
            yield _to_span(match)
    for match in _NAMED.finditer(text):
        if 6 <= _num_digits(match[0]) <= 14 and not _is_date(match[0]) and is_phone(text, match.start(), match.end()):
            yield _to_span(match)


def _is_date(matched: str) -> bool:
    return bool(_DATE.match(matched) or _YEARS.fullmatch(matched))


def _num_digits(matched: str) -> int:
    return sum(map(str.isdigit, matched))


def _to_span(match: re.Match[str]) -> Span:
    digits = "".join(filter(str.isdigit, match[0].replace("(0)", "")))
    return Span(match.start(), match.end(), Kind.PHONE, digits.removeprefix("00"))
