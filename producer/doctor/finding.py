"""What a check of the doctor comes to. Knows no check."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    #: Mends itself, or will matter later.
    WARNING = "warning"
    #: Keeps conversations from being done, or breaks a promise.
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome: a sentence, and unless all is well the next step in it."""

    level: Level
    #: What was looked at, in a word.
    subject: str
    sentence: str


def ok(subject: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """Something to know of."""
    return Finding(Level.WARNING, subject, sentence)


def error(subject: str, sentence: str) -> Finding:
    """Something to mend."""
    return Finding(Level.ERROR, subject, sentence)
