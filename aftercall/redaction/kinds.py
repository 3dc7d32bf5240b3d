"""What is redacted, and the placeholders that stand for it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

#: `off`, `standard` or `strict`.
Mode = Literal["off", "standard", "strict"]


class Kind(StrEnum):
    """What a span is; the name stands in its placeholder. The ones after SECRET are found in strict mode only."""

    EMAIL = "EMAIL"
    IBAN = "IBAN"
    CARD = "CARD"
    IP = "IP"
    #: A national identity, tax, social security or passport number.
    ID = "ID"
    PHONE = "PHONE"
    #: A password, PIN, one-time code, token or API key.
    SECRET = "SECRET"  # noqa: S105 - the name of a kind
    ADDRESS = "ADDRESS"
    POSTCODE = "POSTCODE"
    BIRTHDATE = "BIRTHDATE"
    PLATE = "PLATE"
    USERNAME = "USERNAME"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a text that are to be redacted."""

    start: int
    end: int
    kind: Kind
    #: The value in one spelling, so that the same value gets the same placeholder.
    key: str


#: A placeholder; without a number: a value in a summary that the conversation does not hold.
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(Kind)})(?:_[0-9]{{1,9}})?\]")
