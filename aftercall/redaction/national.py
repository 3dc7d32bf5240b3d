"""National identity, tax and social security numbers of the larger countries, as a table of shapes and checks."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aftercall.redaction import checksums
from aftercall.redaction.context import has_before, is_reference
from aftercall.redaction.kinds import Kind, Span
from aftercall.redaction.patterns import any_of, lower

_SEPARATORS = str.maketrans("", "", " -./")


@dataclass(frozen=True, slots=True)
class _Number:
    """One country's number."""

    #: The shape with its separators: enough to tell it from other numbers, if the check holds.
    shape: str
    #: The check digit; of a number without one, what its parts may be. Takes it in capitals, without separators.
    is_valid: Callable[[str], bool]
    #: A shape that other numbers have too, taken after a word of `words` only.
    bare: str = ""
    words: str = ""


def _is_ssn(digits: str) -> bool:
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def _is_nino(value: str) -> bool:
    return value[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _is_bsn(digits: str) -> bool:
    return checksums.is_weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11) and digits != "0" * 9


def _is_pesel(digits: str) -> bool:
    month = int(digits[2:4]) % 20
    return 1 <= month <= 12 and checksums.is_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)


def _is_personnummer(digits: str) -> bool:
    return checksums.is_luhn(digits[-10:]) and checksums.is_date(digits[:-4])


def _is_swiss(digits: str) -> bool:
    return checksums.is_weighted(digits, (1, 3) * 6 + (1,), 10)


def _is_korean(digits: str) -> bool:
    return checksums.is_date(digits[:6])


def _is_danish(digits: str) -> bool:
    return checksums.is_date(digits[4:6] + digits[2:4] + digits[:2])


def _has_digits(value: str) -> bool:
    return sum(map(str.isdigit, value)) >= 3


_NUMBERS = (
    # United States: social security number
    _Number(
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}", _is_ssn, r"[0-9]{3} ?[0-9]{2} ?[0-9]{4}", r"\bssn\b|social security|\bitin\b"
    ),
    # United Kingdom: National Insurance number
    _Number(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", _is_nino),
    # Germany: Steuer-Identifikationsnummer
    _Number(
        r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", checksums.is_steuer_id, r"[0-9](?: ?[0-9]){10}",
        r"steuer|identifikationsn|\bid-?nr\b|\btin\b|tax id",
    ),
    # France: numéro de sécurité sociale
    _Number(
        r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        checksums.is_nir,
    ),
    # Spain: DNI and NIE
    _Number(r"(?:[XYZ][- ]?[0-9]{7}|[0-9]{2}\.?[0-9]{3}\.?[0-9]{3})[- ]?[A-HJ-NP-TV-Z]", checksums.is_dni),
    # Italy: codice fiscale
    _Number(
        r"[A-Z]{3} ?[A-Z]{3} ?[0-9]{2}[A-EHLMPRST][0-9]{2} ?[A-Z][0-9]{3}[A-Z]", checksums.is_codice_fiscale
    ),
    # Netherlands: burgerservicenummer
    _Number(
        "", _is_bsn, r"[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{3}|[0-9]{3}[. ]?[0-9]{3}[. ]?[0-9]{3}",
        r"\bbsn\b|burgerserv|sofi",
    ),
    # Brazil: CPF
    _Number(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", checksums.is_cpf, r"[0-9]{11}", r"\bcpf\b"),
    # India: Aadhaar, PAN
    _Number(r"[2-9][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}", checksums.is_verhoeff, r"[2-9][0-9]{11}", r"aadh?aa?r|\buid\b"),
    _Number(r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", lambda value: True),
    # Poland: PESEL
    _Number("", _is_pesel, r"[0-9]{11}", r"pesel"),
    # Sweden: personnummer
    _Number(r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", lambda value: _is_personnummer(value.replace("+", "")),
            r"(?:19|20)?[0-9]{10}", r"person(?:nummer|nr)"),
    # Belgium, Switzerland, China, Korea, Mexico
    _Number(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", checksums.is_belgian,
            r"[0-9]{11}", r"rijksregister|registre national|numéro national"),
    _Number(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|756[0-9]{10}", _is_swiss),
    _Number(r"[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9X]", checksums.is_chinese),
    _Number(r"[0-9]{6}-[1-4][0-9]{6}", _is_korean),
    _Number(r"[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]", lambda value: checksums.is_date(value[4:10])),
    # Canada, Denmark
    _Number("", checksums.is_luhn, r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}", r"\bsin\b|social insurance"),
    _Number("", _is_danish, r"[0-9]{6}-?[0-9]{4}", r"\bcpr\b"),
    # passports and driving licences, of any country
    _Number(
        "", _has_digits, r"(?=[A-Z]*[0-9])[A-Z0-9]{6,20}",
        r"passport (?:no|num|id|is)|passport[:#]|passnummer|passnr|ausweis(?:nummer|nr|-?nr)|passeport|pasaporte|"
        r"driv(?:er'?s?|ing) licen[cs]e|führerschein(?:nummer|nr)",
    ),
)  # fmt: skip


#: Where such a number can begin: at a letter or digit that follows none, with a digit not far behind.
_START = re.compile(r"(?<![\w+])(?<![0-9][.,-])(?=(?:[A-Za-z]{3} ){0,2}[A-Za-z]{0,6}[ -]?[0-9])")


def _compile(shape: str) -> re.Pattern[str] | None:
    return re.compile(rf"(?:{shape})(?![\w])(?![.,-][0-9])", re.IGNORECASE) if shape else None


_SHAPES = [(number, shape) for number in _NUMBERS if (shape := _compile(number.shape))]
_BARE = [
    (number, bare, re.compile(number.words, re.IGNORECASE)) for number in _NUMBERS if (bare := _compile(number.bare))
]
_DIGITS = re.compile(r"[0-9][A-Za-z0-9]{0,3}[0-9]")
#: Most texts have none of the words, and one search says so.
_ANY_WORD = re.compile(any_of("|".join(number.words for number in _NUMBERS if number.words)))


def find_ids(text: str) -> Iterator[Span]:
    """National ids: by their shape and check digits, or after a word that names them. Not what is named an order."""
    if not _DIGITS.search(text):
        return
    is_named = _ANY_WORD.search(lower(text)) is not None
    bare = [(number, pattern, words) for number, pattern, words in _BARE if is_named and words.search(text)]
    for start in map(re.Match.start, _START.finditer(text)):
        for number, shape in _SHAPES:
            match = shape.match(text, start)
            if match and _is_valid(number, match[0]) and not is_reference(text, start):
                yield _to_span(match)
        for number, shape, words in bare:
            match = shape.match(text, start)
            if match and _is_valid(number, match[0]) and has_before(words, text, start):
                yield _to_span(match)


def _is_valid(number: _Number, matched: str) -> bool:
    return number.is_valid(matched.translate(_SEPARATORS).upper())


def _to_span(match: re.Match[str]) -> Span:
    return Span(match.start(), match.end(), Kind.ID, match[0].translate(_SEPARATORS).upper())
