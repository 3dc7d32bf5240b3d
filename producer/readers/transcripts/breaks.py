"""Line breaks that an export lost: a whole dialogue in one line, its turns parted by labels alone or by a mark."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from producer.readers.rows import RowError
from producer.readers.sides.speakers import Role, find_role, is_field_word, is_role_word, plain_label
from producer.readers.transcripts.openings import Opening, Stamped, is_name_like, read_opening

_HTML_BREAK = re.compile(r"<br\s{0,5}/?>|</?(?:p|div|li|tr)\b[^<>]{0,300}>", re.IGNORECASE)
_WRITTEN_BREAK = re.compile(r"(?:\\r)?\\n|\\r")
#: What programs put in the place of a line break, the surest first.
_MARKS = (
    " || ",
    " | ",
    " // ",
    " / ",
    " ⏎ ",
    "⏎",
    "↵",
    "¶",
    " ¦ ",
    " • ",
    " · ",
    " ; ",
    " -- ",
    " — ",
    " >> ",
    " -> ",
    " => ",
    " \\ ",
    " ~ ",
    "\t",
    "|",
    ";",
)
_STAMP_START = re.compile(
    r"(?<=\s)(?=[\[(<]?\s?\d{1,4}[:./hms-]|[\[(]\s?\d{1,2}\s?[ms]|[\[(]?(?:上午|下午|午前|午後|오전|오후))"
)
_COLON = re.compile(r"\s?(?:：|:(?=\s|$|[^\x00-\x7f]))")
_ENDS = "。！？!?…"
_WORD = re.compile(rf"[^\s{_ENDS}]+")
#: No opening is longer; slices of this length keep the search linear.
_MAX_OPENING_CHARS = 200
_MAX_LABEL_WORDS = 3
#: A text without line breaks that may have more turns is refused.
MAX_INLINE = 10_000


def restore_html_breaks(text: str) -> str:
    """`<br>` and the ends of paragraphs as line breaks."""
    return _HTML_BREAK.sub("\n", text) if "<" in text else text


def restore_breaks(text: str) -> str | None:
    """The text with a line break before each turn; None if nothing in it shows where turns begin.

    Raises RowError if there are more places to look at than a conversation has turns.
    """
    if "\\" in text and _num_openings(lines := _WRITTEN_BREAK.sub("\n", text).split("\n")) > 1:
        return "\n".join(lines)
    for mark in _MARKS:
        if mark in text and (parts := _part_at(text, mark)):
            return "\n".join(parts)
    try:
        return _break_before(text, _find_stamps(text)) or _break_before(text, _find_labels(text))
    except _TooManyError:
        if "\n" in text.strip():
            return None
        raise


class _TooManyError(RowError):
    """There are more places at which a turn may begin than are looked at."""


def _num_openings(lines: list[str]) -> int:
    return sum(isinstance(read_opening(line), Opening) for line in lines)


def _part_at(text: str, mark: str) -> list[str] | None:
    """Parts that begin like turns; a mark within what was said stays where it is."""
    parts = text.split(mark)
    first = read_opening(parts[0])
    if not isinstance(first, Opening):
        return None
    lines: list[list[str]] = []
    speaking: Counter[str] = Counter()
    for part in parts:
        opening = read_opening(part)
        if opening is not None and opening.style == first.style:
            lines.append([part])
            if isinstance(opening, Opening) and not is_field_word(opening.label):
                speaking[opening.key] += 1 if opening.role is None else 2
        elif isinstance(opening, Stamped):
            lines.append([part])
        else:
            lines[-1].append(part)
    is_dialogue = sum(count > 1 for count in speaking.values()) > 1
    return [mark.join(line) for line in lines] if is_dialogue else None


def _break_before(text: str, places: list[int]) -> str | None:
    if not places:
        return None
    starts = [0, *places, len(text)]
    return "\n".join(text[start:end].strip() for start, end in pairwise(starts))


def _bounded(matches: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    for number, match in enumerate(matches):
        if number == MAX_INLINE:
            raise _TooManyError(
                f"the transcript has no line breaks and more than {MAX_INLINE:,} places where a turn may begin; "
                "export it with line breaks."
            )
        yield match


def _find_stamps(text: str) -> list[int]:
    """Where a time with a label begins, if the text begins with one too."""
    first = read_opening(text[:_MAX_OPENING_CHARS])
    if not isinstance(first, Opening) or not first.is_timed:
        return []
    bracket = first.style[:1]
    places: list[tuple[int, str]] = []
    for match in _bounded(_STAMP_START.finditer(text)):
        opening = read_opening(text[match.start() : match.start() + _MAX_OPENING_CHARS])
        if opening is None or not opening.stamp or opening.style[:1] != bracket:
            continue
        is_plain_event = isinstance(opening, Stamped) and bracket in "[(<{"
        if is_plain_event or (isinstance(opening, Opening) and opening.key):
            key = opening.key if isinstance(opening, Opening) and not opening.role and bracket not in "[(<{" else ""
            places.append((match.start(), key))
    counts = Counter(key for _, key in places) + Counter([first.key])
    return [place for place, key in places if not key or counts[key] > 1]


@dataclass(frozen=True, slots=True)
class _Inline:
    """A label in the middle of a line."""

    start: int
    key: str
    role: Role | None
    #: Whether what stands before it has come to an end.
    is_after_end: bool


def _find_labels(text: str) -> list[int]:
    """Where labels begin, in a text that begins with one and has several."""
    first = read_opening(text[:_MAX_OPENING_CHARS])
    if not isinstance(first, Opening) or (first.is_timed and not first.style.startswith("behind")):
        return []
    found = [label for label in _inline_labels(text, first) if label.start > 0]
    counts = Counter(label.key for label in found)
    counts[first.key] += 1
    chosen = []
    last = first.role
    for label, following in zip_longest(found, found[1:]):
        is_sure = label.role is not None or label.key == first.key
        if not is_sure and not (label.is_after_end and (counts[label.key] > 1 or counts[first.key] > 1)):
            continue
        is_followed = following is not None and following.is_after_end and following.role == label.role
        if not label.is_after_end and label.role is not None and (label.role == last or is_followed):
            continue  # words within a sentence: `I was told by your Agent: wait. Agent: sorry`
        chosen.append(label.start)
        last = label.role
    return chosen


def _inline_labels(text: str, first: Opening) -> Iterator[_Inline]:
    """Roles and the first label wherever they stand; names where a sentence has ended."""
    for colon in _bounded(_COLON.finditer(text)):
        window = max(0, colon.start() - 60)
        words = list(_WORD.finditer(text[window : colon.start()]))[-_MAX_LABEL_WORDS:]
        for word in words:
            label = text[window + word.start() : colon.start()]
            start = window + word.start()
            if not any(map(str.isalnum, word[0])):
                continue
            if start and not (text[start - 1].isspace() or text[start - 1] in _ENDS):
                continue
            if any(end in label for end in _ENDS + "."):
                continue
            before = text[max(0, start - 20) : start].rstrip()[-1:]
            is_after_end = not (before.isalnum() or before in ",-(&'\"“„«:")
            key, role = plain_label(label), find_role(label)
            is_first = key == first.key
            is_role = is_role_word(label) or (role is not None and any(map(str.isdigit, label)))
            if is_first or (is_role and label[:1].isupper() == first.label[:1].isupper()):
                yield _Inline(start, key, role, is_after_end)
                break
            if is_after_end and is_name_like(label) and not is_field_word(label):
                yield _Inline(start, key, role, True)
                break
