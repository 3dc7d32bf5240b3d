"""The result of a check of the doctor."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    #: Fixes itself, or will matter later.
    WARNING = "warning"
    #: Keeps conversations from being summarized, or breaks a promise.
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. Unless all is well, the sentence names the next step."""

    level: Level
    #: What was checked, in a word.
    subject: str
    sentence: str


def ok(subject: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """Something to know about."""
    return Finding(Level.WARNING, subject, sentence)


def error(subject: str, sentence: str) -> Finding:
    """Something to fix."""
    return Finding(Level.ERROR, subject, sentence)
