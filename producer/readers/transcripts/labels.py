"""Which lines of a transcript open turns: the labels that do so throughout, not every line with a colon in it.

A customer who pastes a form, a log or somebody's words writes lines that look like turns. Lines count by how the
transcript is dressed as a whole, by how often their label occurs, and by whether they look like a form.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from producer.readers.sides.speakers import Role, is_field_word, last_known
from producer.readers.transcripts.openings import (
    Opening,
    Stamped,
    has_happened,
    is_data,
    is_event,
    is_form_line,
    is_form_value,
)

Reading = Opening | Stamped | None

_DIGITS = re.compile(r"\d+(?:[.,]\d+)?")
_NINES = str.maketrans("012345678", "9" * 9)
_LETTERS = re.compile(r"[^\W\d_]+\.?")
_SIDES = frozenset(("user", "agent"))
#: So many lines of a form in a row are a form.
_MIN_FORM_LINES = 3
#: Words for roles that customers have as fields in what they paste: `Operator: Vodafone`.
_FIELD_LIKE_ROLES_WORDS = (
    "user client contact company service support operator brand staff guest member admin manager supervisor host "
    "representative employee specialist seller vendor merchant team expert engineer tech technician benutzer "
    "nutzer firma techniker empresa usuario operador entreprise société utilisateur azienda operatore bedrijf "
    "system status info event log action tool activity notification sistema système hinweis internal private"
)
_FIELD_LIKE_ROLES = frozenset(_FIELD_LIKE_ROLES_WORDS.split())
#: By these a speaker begins a line too: `Note: all data will be lost`.
_BARE_NOTES_WORDS = (
    "note notes nota notas notiz notitie notatka poznámka bemerkung remark hinweis info status event log action "
    "activity notification примечание заметка internal private intern"
)
_BARE_NOTES = frozenset(_BARE_NOTES_WORDS.split())
#: No customer begins a line so, but with a number: `Internal: 192.168.0.1`.
_PRIVATE = frozenset(("internal", "private", "intern"))
#: Who writes about the customer writes to colleagues.
_ABOUT_CUSTOMER = re.compile(
    r"\b(?:customer|client|caller|cust|cx|user|guest|kunde|kundin|cliente|klant|klient|клиент)(?:'s|s)?\b",
    re.IGNORECASE,
)


def choose(readings: Sequence[Reading], lines: Sequence[str]) -> list[Reading]:
    """The readings that stand: an Opening opens a turn, a Stamped is an event, None goes on with what is above."""
    timed = _choose_timed(readings)
    return timed if timed is not None else _choose_untimed(readings, lines)


def _choose_timed(readings: Sequence[Reading]) -> list[Reading] | None:
    """If each turn begins with a time, only lines with such a time open one. None if they don't."""
    first = next((reading for reading in readings if _is_timed(reading)), None)
    if first is None:
        return None
    dress = _dress(first)
    stands = [reading if _is_timed(reading) and _dress(reading) == dress else None for reading in readings]
    stands = _with_other_side(stands, readings)
    num_opened = sum(isinstance(reading, Opening) for reading in stands)
    earlier = readings[: readings.index(first)]
    if not num_opened or _speaks_before(earlier, readings):
        return None
    others = [reading for reading in stands if isinstance(reading, Stamped) and not is_event(reading.text)]
    if len(others) > num_opened:  # a pasted log
        return [reading if isinstance(reading, Opening) else None for reading in stands]
    return stands


def _with_other_side(stands: Sequence[Reading], readings: Sequence[Reading]) -> list[Reading]:
    """Where one side's lines are dressed differently, those of the other side too."""
    roles = {reading.role for reading in stands if isinstance(reading, Opening)}
    if roles not in ({"user"}, {"agent"}):
        return list(stands)
    return [
        reading if isinstance(reading, Opening) and reading.is_timed and reading.role in _SIDES - roles else stand
        for stand, reading in zip(stands, readings, strict=True)
    ]


def _is_timed(reading: Reading) -> bool:
    return reading is not None and reading.stamp != ""


def _speaks_before(earlier: Sequence[Reading], readings: Sequence[Reading]) -> bool:
    """Whether turns without a time have begun by then, so that the first time is a part of what was said."""
    counts = Counter(reading.key for reading in readings if isinstance(reading, Opening) and not reading.is_timed)
    openings = [reading for reading in earlier if isinstance(reading, Opening)]
    return any((opening.role and opening.text.strip()) or counts[opening.key] > 1 for opening in openings)


def _dress(reading: Reading) -> tuple[str, str]:
    """What the times of one transcript have in common: their brackets and their form."""
    # With nines for all digits there are few forms, and most are looked up.
    return _dress_of(reading.style[:1], reading.stamp.translate(_NINES)) if reading else ("", "")


@lru_cache(maxsize=4096)
def _dress_of(start: str, stamp: str) -> tuple[str, str]:
    bracket = start if start in "[(<{【（b" else ""
    stamp = stamp.casefold()
    if re.search(r"\d\s?[hms](?:in|ec)?\b", stamp):
        return bracket, "elapsed"
    return bracket, "".join(_LETTERS.sub("a", _DIGITS.sub("9", stamp)).split())


def _choose_untimed(readings: Sequence[Reading], lines: Sequence[str]) -> list[Reading]:
    candidates = {index: reading for index, reading in enumerate(readings) if isinstance(reading, Opening)}
    first = next((index for index, opening in candidates.items() if _may_be_first(opening)), None)
    if first is None:
        return [None] * len(readings)
    separator = _separator(candidates[first])
    candidates = {
        index: opening
        for index, opening in candidates.items()
        if index >= first
        and ((_separator(opening) == separator and not opening.is_timed) or (opening.is_timed and opening.role))
    }
    counts = Counter(opening.key for opening in candidates.values())
    for form in _find_forms(candidates, counts, first):
        for index in form:
            del candidates[index]
    judge = _Judge(candidates, first, lines)
    return [candidates[i] if i in candidates and judge.opens(i) else None for i in range(len(readings))]


def _may_be_first(opening: Opening) -> bool:
    return bool(opening.role) or not is_field_word(opening.label)


def _separator(opening: Opening) -> str:
    separator = opening.style.removeprefix("behind").lstrip("[(<{【（").removeprefix("time").removeprefix("date")
    return re.sub("[-–—―−]+", "-", separator).strip()


def _find_forms(candidates: Mapping[int, Opening], counts: Counter[str], first: int) -> list[list[int]]:
    """Runs of lines, one below the other, that are fields and values of a form."""
    main = _find_main(candidates, counts)
    rare = [index for index in candidates if index != first and _is_rare(candidates[index], counts, main)]
    forms = []
    for _, run in groupby(enumerate(rare), lambda place: place[1] - place[0]):
        lines = [index for _, index in run]
        openings = [candidates[index] for index in lines]
        has_field = any(is_field_word(opening.label) for opening in openings)
        has_name = not all(opening.role or is_field_word(opening.label) for opening in openings)
        share = sum(map(is_form_line, openings)) / len(openings)
        is_long_form = len(lines) >= _MIN_FORM_LINES and share >= 0.5 and (has_field or not has_name)
        if is_long_form or (len(lines) > 1 and share == 1 and has_field and not has_name):
            forms.append(lines)
    return forms


def _is_rare(opening: Opening, counts: Counter[str], main: frozenset[str]) -> bool:
    """Whether this label doesn't carry the conversation."""
    if is_field_word(opening.label):
        return True
    if opening.role is None:
        return counts[opening.key] == 1
    return opening.key in _FIELD_LIKE_ROLES and opening.key not in main


def _find_main(candidates: Mapping[int, Opening], counts: Counter[str]) -> frozenset[str]:
    """The label of each side that can least be a field: a plain role, a frequent one, one that says sentences."""
    main: dict[Role, tuple[tuple[bool, int, bool, int], str]] = {}
    for index, opening in candidates.items():
        if opening.role in ("user", "agent"):
            is_plain = opening.key not in _FIELD_LIKE_ROLES
            rank = (is_plain, counts[opening.key], not is_form_value(opening.text), index)
            main[opening.role] = max(main.get(opening.role, (rank, opening.key)), (rank, opening.key))
    return frozenset(key for _, key in main.values())


class _Judge:
    """Decides line by line, in order, whether a candidate opens a turn."""

    def __init__(self, candidates: Mapping[int, Opening], first: int, lines: Sequence[str]) -> None:
        self._candidates = candidates
        self._first = first
        self._lines = lines
        self._order = list(candidates)
        self._places = {index: place for place, index in enumerate(self._order)}
        self._counts = Counter(opening.key for opening in candidates.values())
        self._main = _find_main(candidates, self._counts)
        roles = [opening.role for opening in candidates.values()]
        self._roles_above = last_known(roles)
        self._roles_below = last_known(roles[::-1])[::-1]
        self._is_weak_first = candidates[first].is_weak

    def opens(self, index: int) -> bool:
        opening = self._candidates[index]
        if index == self._first:
            return True
        if opening.role is None:
            return self._opens_name(index, opening)
        if opening.key in _BARE_NOTES:
            return self._opens_note(index, opening)
        if opening.key not in _FIELD_LIKE_ROLES or opening.key in self._main:
            return True
        if self._counts[opening.key] > 1 or not is_form_value(opening.text):
            return True
        return has_happened(opening.text) if opening.role in ("note", "event") else self._is_needed(index)

    def _opens_note(self, index: int, opening: Opening) -> bool:
        """Whether a line such as `Note: …` is one for colleagues, or tells of an event; else it goes on with a turn."""
        if opening.is_timed or self._counts[opening.key] > 1:
            return True
        if opening.key in _PRIVATE:
            return not is_data(opening.text)
        if opening.role == "event":
            return has_happened(opening.text)
        above = self._candidates.get(index - 1)
        return _ABOUT_CUSTOMER.search(opening.text) is not None or (above is not None and above.role != "user")

    def _opens_name(self, index: int, opening: Opening) -> bool:
        above = self._lines[index - 1].rstrip()
        if is_field_word(opening.label) or (above.endswith((":", "：")) and is_form_value(opening.text)):
            return False
        if self._counts[opening.key] == 1 and is_data(opening.text) and self._is_behind_user(index):
            return False
        if opening.is_weak and not (self._is_weak_first and self._counts[opening.key] > 1):
            return self._is_needed(index)
        return True

    def _is_behind_user(self, index: int) -> bool:
        """Whether the customer speaks above and the agent below, so that the line may be the customer's."""
        place = self._places[index]
        return self._roles_above[place] == "user" and self._roles_below[place] == "agent"

    def _is_needed(self, index: int) -> bool:
        """Whether one side would speak twice in a row without this line."""
        place = self._places[index]
        if place + 1 >= len(self._order):
            return False
        before, after = self._candidates[self._order[place - 1]], self._candidates[self._order[place + 1]]
        return before.role == after.role
