"""Redaction: personal data and secrets of a cleaned conversation become placeholders such as `[EMAIL_1]`.

Pure functions over text. They stand in the contract because both sides need them: the producer and training redact
conversations, the worker redacts summaries. `REDACTION_VERSION` is part of a job's identity: whoever changes what is
redacted changes the version too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from aftercall.conversation import Turn, render_turns
from aftercall.redaction.kinds import PLACEHOLDER, Kind, Mode
from aftercall.redaction.redactor import Redactor, needs_redaction

__all__ = [
    "REDACTION_VERSION",
    "Kind",
    "Mode",
    "add_version",
    "count_placeholders",
    "read_mode",
    "redact_summary",
    "redact_turns",
    "redact_with_texts",
]

REDACTION_VERSION = "1"

_LETTERS: dict[Mode, str] = {"standard": "s", "strict": "x"}


def add_version(cleaner_version: str, mode: Mode) -> str:
    """The cleaner's version with that of redaction, such as `2+r1s`; with `off` as it was."""
    return cleaner_version if mode == "off" else f"{cleaner_version}+r{REDACTION_VERSION}{_LETTERS[mode]}"


def read_mode(cleaner_version: str) -> Mode:
    """In which mode a conversation was redacted, from its version; `off` if it was not."""
    _, separator, redaction = cleaner_version.partition("+r")
    modes: dict[str, Mode] = {letter: mode for mode, letter in _LETTERS.items()}
    return modes.get(redaction[-1:], "standard") if separator else "off"


def redact_turns(turns: Sequence[Turn], mode: Mode) -> tuple[Turn, ...]:
    """The turns of one conversation, redacted. The same value has the same placeholder in all of them."""
    return redact_with_texts(turns, (), mode)[0]


def redact_with_texts(
    turns: Sequence[Turn], texts: Iterable[str], mode: Mode
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """The turns, and what was written about them, such as the summaries that a model is to learn."""
    texts = tuple(texts)
    whole = render_turns(turns)
    if not needs_redaction("".join([whole, *texts]), mode):
        return tuple(turns), texts
    redactor = Redactor(mode, whole)
    redacted = _redact(redactor, turns)
    conversation = render_turns(redacted)
    return redacted, tuple(redactor.redact_about(text, conversation) for text in texts)


def redact_summary(text: str, conversation: str, cleaner_version: str) -> str:
    """A summary in which nothing is left of the kinds that were redacted in its conversation.

    A model may make up an e-mail address, or remember one from its training. What the conversation holds as it was
    sent, such as an order number that looks like a card, stays.

    Args:
        conversation: as it was sent, redacted.
        cleaner_version: of the conversation, which says what was redacted in it.
    """
    mode = read_mode(cleaner_version)
    return Redactor(mode).redact_about(text, conversation) if needs_redaction(text, mode) else text


def count_placeholders(text: str) -> Counter[str]:
    """How many different placeholders of each kind a conversation has."""
    if "[" not in text:
        return Counter()
    return Counter(name[1:].partition("_")[0] for name in set(PLACEHOLDER.findall(text)))


def _redact(redactor: Redactor, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """All turns in order, and again if a value became known that may stand in an earlier one."""
    redacted, num_known = tuple(turns), -1
    while redactor.num_known > num_known:
        num_known = redactor.num_known
        redacted = tuple(_redact_each(redactor, redacted))
    return redacted


def _redact_each(redactor: Redactor, turns: Iterable[Turn]) -> Iterator[Turn]:
    question = ""
    for turn in turns:
        text = redactor.redact(turn.text, question)
        yield turn if text == turn.text else Turn(turn.speaker, text)
        question = text if redactor.asks(text) else ""
