"""Check digits of payment cards, IBANs and national ids. Each takes digits (and letters) without separators."""

from collections.abc import Sequence
from datetime import date

#: Verhoeff's tables: the dihedral group of order ten, and the powers of its permutation.
_DIHEDRAL = tuple(
    tuple((i + j) % 5 if i < 5 and j < 5 else (i + j) % 5 + 5 if i < 5 else (i - j) % 5 + 5 if j < 5 else (i - j) % 5
          for j in range(10))
    for i in range(10)
)  # fmt: skip
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)

#: What a character at an odd place counts in an Italian codice fiscale, from 0 or A on.
_ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def is_luhn(digits: str) -> bool:
    """Payment cards, Canadian SIN, Swedish personnummer."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_weighted(digits: str, weights: Sequence[int], modulus: int) -> bool:
    """Whether the weighted sum is a multiple: Dutch BSN, Polish PESEL, Swiss AHV."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % modulus == 0


def is_iban_sum(value: str) -> bool:
    """ISO 7064 mod 97-10, as in an IBAN."""
    return int("".join(str(int(character, 36)) for character in value[4:] + value[:4])) % 97 == 1


def is_verhoeff(digits: str) -> bool:
    """Indian Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _PERMUTATION[value]
        check = _DIHEDRAL[check][value]
    return check == 0


def is_steuer_id(digits: str) -> bool:
    """German tax id: one digit of the first ten stands there twice or three times, and ISO 7064 mod 11-10."""
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if digits[0] == "0" or counts[-1] not in (2, 3) or counts[-2] != 1:
        return False
    check = 10
    for digit in digits[:10]:
        check = (int(digit) + check) % 10 or 10
        check = check * 2 % 11
    return (11 - check) % 10 == int(digits[10])


def is_nir(value: str) -> bool:
    """French social security number; the departments of Corsica are 2A and 2B."""
    number = int(value[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(value[13:])


def is_dni(value: str) -> bool:
    """Spanish DNI, or NIE, whose first letter stands for a digit."""
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def is_codice_fiscale(value: str) -> bool:
    """Italian tax code of sixteen characters."""
    places = [int(character, 36) - (0 if character.isdigit() else 10) for character in value]
    total = sum(_ODD_VALUES[place] for place in places[0:15:2]) + sum(places[1:15:2])
    return total % 26 == places[15]


def is_cpf(digits: str) -> bool:
    """Brazilian CPF: two check digits."""
    if len(set(digits)) == 1:
        return False
    return all(
        sum(int(digit) * weight for digit, weight in zip(digits, range(length + 1, 1, -1), strict=False)) * 10 % 11 % 10
        == int(digits[length])
        for length in (9, 10)
    )


def is_belgian(digits: str) -> bool:
    """Belgian national number: 97 less the rest, of those born from 2000 on with a 2 before it."""
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def is_chinese(value: str) -> bool:
    """Chinese resident id: ISO 7064 mod 11-2 over eighteen characters."""
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(value[:17]))
    return (12 - total % 11) % 11 == (10 if value[17] == "X" else int(value[17])) and is_date(value[6:14])


def is_date(digits: str) -> bool:
    """Whether YYYYMMDD or YYMMDD is a day of some century."""
    year, month, day = digits[:-4], int(digits[-4:-2]), int(digits[-2:])
    try:
        date(int(year) if len(year) == 4 else 2000 + int(year), month, day)
    except ValueError:
        return False
    return True
