"""Payment cards and bank accounts."""

import re
from collections.abc import Iterator

from aftercall.redaction.checksums import is_iban_sum, is_luhn
from aftercall.redaction.context import has_before, is_reference
from aftercall.redaction.kinds import Kind, Span

_CARD = re.compile(r"(?<![\w])(?<![0-9][.,-])[0-9](?:[ -]?[0-9]){12,18}(?![\w])(?![.,-][0-9])")
_GROUPED = re.compile(r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}")
_CARD_WORD = re.compile(
    r"card\b|\bcc\b|visa|master ?card|amex|american express|debit|credit|karte|carte|tarjeta|carta", re.I
)

#: First digits, as a range of numbers of that many digits, and the lengths: ISO/IEC 7812 as the large networks use it.
_ISSUERS = (
    ("34", "34", (15,)), ("37", "37", (15,)),  # American Express
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)), ("2221", "2720", (16,)),  # Mastercard
    ("6011", "6011", (16, 19)), ("644", "649", (16, 19)), ("65", "65", (16, 19)),  # Discover
    ("300", "305", (14,)), ("36", "36", (14,)), ("38", "39", (14, 16)),  # Diners Club
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("5018", "5018", (13, 15, 16, 19)), ("5020", "5020", (13, 15, 16, 19)), ("5038", "5038", (13, 15, 16, 19)),
    ("5893", "5893", (13, 15, 16, 19)), ("6304", "6304", (13, 15, 16, 19)), ("6759", "6759", (13, 15, 16, 19)),
    ("6761", "6763", (13, 15, 16, 19)),  # Maestro
    ("2200", "2204", (16,)),  # Mir
    ("60", "60", (16,)), ("81", "82", (16,)), ("508", "508", (16,)),  # RuPay
)  # fmt: skip

#: The length of an IBAN, by country.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_SEPARATORS = str.maketrans("", "", " -")


def find_cards(text: str) -> Iterator[Span]:
    """Card numbers: of a known issuer, of its length, with a right check digit.

    One number in ten passes the check by chance. So one that is named an order or the like, and not written in a card's
    groups, is none.
    """
    for match in _CARD.finditer(text):
        digits = match[0].translate(_SEPARATORS)
        if not (_is_issued(digits) and is_luhn(digits)):
            continue
        is_grouped = _GROUPED.fullmatch(match[0]) is not None
        if is_grouped or not is_reference(text, match.start()) or has_before(_CARD_WORD, text, match.start()):
            yield Span(match.start(), match.end(), Kind.CARD, digits)


def _is_issued(digits: str) -> bool:
    return any(len(digits) in lengths and low <= digits[: len(low)] <= high for low, high, lengths in _ISSUERS)


def find_ibans(text: str) -> Iterator[Span]:
    """International bank account numbers, in any grouping: of their country's length, with a right check sum."""
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2].upper())
        end = _end_of(match[0], length) if length else None
        if end is None or (end < len(match[0]) and match[0][end].isalnum()):
            continue
        value = match[0][:end].translate(_SEPARATORS).upper()
        if is_iban_sum(value):
            yield Span(match.start(), match.start() + end, Kind.IBAN, value)


def _end_of(matched: str, length: int) -> int | None:
    """Where so many characters end, separators not counted: words may follow in the same match."""
    count = 0
    for place, character in enumerate(matched, start=1):
        count += character.isalnum()
        if count == length:
            return place
    return None
