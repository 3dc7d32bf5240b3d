"""A conversation with placeholders in place of personal data and secrets, the same value always under the same one."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count

from aftercall.redaction import suspicion
from aftercall.redaction.credentials import MAX_ANSWER_CHARS, find_answer, find_secrets
from aftercall.redaction.electronic import find_emails, find_ips
from aftercall.redaction.kinds import PLACEHOLDER, Kind, Mode, Span
from aftercall.redaction.national import find_ids
from aftercall.redaction.payment import find_cards, find_ibans
from aftercall.redaction.personal import (
    find_addresses,
    find_birthdates,
    find_plates,
    find_postcodes,
    find_usernames,
)
from aftercall.redaction.phones import find_phones
from aftercall.redaction.suspicion import is_foreign, suspect

#: What each detector needs in a text; None: nothing. Where two find overlapping spans, the earlier one's counts.
_STANDARD: tuple[tuple[int | None, Callable[[str], Iterator[Span]]], ...] = (
    (suspicion.AT, find_emails),
    (suspicion.WORD, find_secrets),
    (suspicion.NUMBER, find_ibans),
    (suspicion.NUMBER, find_cards),
    (suspicion.NUMBER | suspicion.COLONS, find_ips),
    (suspicion.NUMBER | suspicion.WORD, find_ids),
    (suspicion.NUMBER, find_phones),
)
_STRICT: tuple[tuple[int | None, Callable[[str], Iterator[Span]]], ...] = (
    (suspicion.DIGIT, find_birthdates),
    (suspicion.DIGIT, find_plates),
    (suspicion.DIGIT, find_addresses),
    (suspicion.DIGIT, find_postcodes),
    (None, find_usernames),
)
#: A shorter value, such as a PIN, may be a price elsewhere.
_MIN_REPEATED = 6
_NEEDED = suspicion.ALL & ~suspicion.DIGIT

#: Digits, dashes and the at sign of other scripts, one character for one, so that spans keep their places.
_FOLDED = str.maketrans(
    {chr(start + digit): str(digit) for start in (0xFF10, 0x0660, 0x06F0) for digit in range(10)}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d", "-")
    | {"\uff20": "@", "\uff0e": ".", "\uff1a": ":", "\xa0": " "}
)


def needs_redaction(text: str, mode: Mode) -> bool:
    """Whether a text, or a whole conversation as text, may hold what `mode` redacts. False is certain."""
    return mode == "strict" or (mode == "standard" and bool(suspect(_fold(text)) & _NEEDED))


def _fold(text: str) -> str:
    return text.translate(_FOLDED) if is_foreign(text) else text


class Redactor:
    """Redacts the turns of one conversation in their order, and then what was written about it."""

    def __init__(self, mode: Mode, own_words: str = "") -> None:
        """Make a redactor for one conversation.

        Args:
            own_words: the whole conversation. Placeholders that the speakers wrote themselves are not given out.
        """
        self._mode = mode
        #: What the turns can hold; looking for nothing else in each of them saves most of the time.
        folded = _fold(own_words)
        self._within = suspect(folded) if own_words else suspicion.ALL
        self._words = suspicion.find_words(folded) if own_words else suspicion.WORDS
        #: The last text that was looked at, and what was in it.
        self._looked_at = ("", 0)
        self._reserved = set(PLACEHOLDER.findall(own_words)) if "[" in own_words else set()
        self._given: dict[tuple[Kind, str], str] = {}
        #: Values as they were written, with the spans' kind and key: found again where no word says what they are.
        self._written: dict[str, tuple[Kind, str]] = {}
        self._numbers = {kind: count(1) for kind in Kind}

    @property
    def num_known(self) -> int:
        """How many spellings of values are known; when it grows, earlier turns may hold one that was not known then."""
        return len(self._written)

    def asks(self, text: str) -> bool:
        """Whether a turn may ask for a secret: then the turn after it is looked at with it."""
        if not self._within & suspicion.WORD:
            return False
        last, found = self._looked_at
        if last is not text:
            found = suspect(text, suspicion.WORD, self._words)
        return bool(found & suspicion.WORD)

    def redact(self, text: str, question: str = "") -> str:
        """The text with placeholders.

        Args:
            question: what was said right before it, which may have asked for a secret.
        """
        # Until nothing is found: what stands between two placeholders may be found only then, and a text that was
        # redacted already stays as it is. Each round replaces characters that are no placeholder's, so there is an end.
        while spans := self.find(text, question):
            self._written |= {
                text[span.start : span.end]: (span.kind, span.key)
                for span in spans
                if span.end - span.start >= _MIN_REPEATED and any(map(str.isdigit, span.key))
            }
            text = _replace(text, spans, self._placeholder)
        return text

    def redact_about(self, text: str, conversation: str) -> str:
        """What was written about the conversation, with the conversation's placeholders.

        A value that the redacted conversation still holds is left as it is. One that it never held gets a placeholder
        without a number.
        """
        # It may hold what the conversation does not, so it is searched for everything.
        self._within, self._words = suspicion.ALL, suspicion.WORDS
        while spans := [each for each in self.find(text) if text[each.start : each.end] not in conversation]:
            text = _replace(text, spans, lambda span: self._given.get((span.kind, span.key), f"[{span.kind}]"))
        return text

    def _placeholder(self, span: Span) -> str:
        known = self._given.get((span.kind, span.key))
        if known is None:
            names = (f"[{span.kind}_{number}]" for number in self._numbers[span.kind])
            known = self._given[span.kind, span.key] = next(name for name in names if name not in self._reserved)
        return known

    def find(self, text: str, question: str = "") -> list[Span]:
        """What is to be replaced: spans that overlap neither each other nor a placeholder, from left to right."""
        folded = _fold(text)
        found = suspect(folded, self._within, self._words)
        self._looked_at = (folded, found)
        if not (found & _NEEDED or self._written or question or self._mode == "strict"):
            return []
        candidates = self._candidates(folded, found, question)
        taken = [(match.start(), match.end()) for match in PLACEHOLDER.finditer(text)] if "[" in text else []
        spans: list[Span] = []
        for span in candidates:
            if span.start < span.end and all(span.end <= start or end <= span.start for start, end in taken):
                taken.append((span.start, span.end))
                spans.append(span)
        return sorted(spans, key=lambda span: span.start)

    def _candidates(self, text: str, found: int, question: str) -> Iterable[Span]:
        detectors = _STANDARD + _STRICT if self._mode == "strict" else _STANDARD
        chosen = [find(text) for needed, find in detectors if needed is None or needed & found]
        is_answer = found & suspicion.DIGIT and self._within & suspicion.WORD and len(text) <= MAX_ANSWER_CHARS
        answers = find_answer(text, question) if question and is_answer else ()
        return chain(answers, self._find_repeated(text), *chosen)

    def _find_repeated(self, text: str) -> Iterator[Span]:
        """Values that were found before, such as a telephone number that is only later named so."""
        for written, (kind, key) in self._written.items():
            if written in text:
                for match in re.finditer(rf"(?<!\w){re.escape(written)}(?!\w)", text):
                    yield Span(match.start(), match.end(), kind, key)


def _replace(text: str, spans: Iterable[Span], name: Callable[[Span], str]) -> str:
    parts: list[str] = []
    end = 0
    for span in spans:
        parts += [text[end : span.start], name(span)]
        end = span.end
    return "".join([*parts, text[end:]])
