"""Where the history of an e-mail begins: attribution lines, header blocks, dividers. Knows no signature.

Each line is looked at with two more at most, and no longer line than an attribution can be is given to a regular
expression, so the time is linear in the text.
"""

import re
from collections.abc import Sequence

from producer.cleaning.phrases import Phrases, load_phrases

_MAX_CHARS = 300
_MAX_WRAPPED = 3
#: A header's lines, and lines between them that go on with the one above.
_MAX_HEADER = 12
#: A date, a time or an address: without one, "on Monday your colleague wrote:" is told by the writer.
_DATED = re.compile(r"@|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}|\d{1,2}[:.h]\d\d|\d年")
_FULLY_DATED = re.compile(r"@|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}[./-]\d\d|\d年")
_HEADER_LINE = re.compile(r"[*_ ]{0,4}([^\W\d_][^\W\d_]*(?:['’ -][^\W\d_]+){0,2})[*_ ]{0,4}[:：](.*)")
_RULE = re.compile(r"[-_=*~─—]{5,}")
_COLONS = (":", "：")
_DASHES = ("--", "__", "==", "**")
_NAME = re.compile(r"([^\W\d_]+) ?:")


def find_new_lines(lines: Sequence[str]) -> list[str]:
    """The lines that were newly written: without quotes and the lines that introduce them, up to the history.

    Answers between quoted lines stay. Where a message begins with a forwarded one, its text stays and its header goes.
    """
    phrases = load_phrases()
    reply_lines = _find_reply_lines(lines, phrases)
    kept: list[str] = []
    has_text = False
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith(">"):
            index += 1
            continue
        if index in reply_lines:
            if has_text:
                break
            index += 1
            continue
        if line and (mark := _find_mark(lines, index, phrases)):
            kind, index = mark
            if kind == "history" or (kind == "forward" and has_text):
                break
            continue
        kept.append(line)
        has_text = has_text or bool(line)
        index += 1
    return kept


def has_history(lines: Sequence[str]) -> bool:
    """Whether there is a line that introduces history."""
    phrases = load_phrases()
    return bool(_find_reply_lines(lines, phrases)) or any(
        line and (mark := _find_mark(lines, index, phrases)) and mark[0] != "rule" for index, line in enumerate(lines)
    )


def _find_reply_lines(lines: Sequence[str], phrases: Phrases) -> set[int]:
    """The lines that ask to reply above them: what stands below is old, unless nothing stands above."""
    lower = "\n".join(lines).lower()
    found = [phrase for phrase in phrases.reply_above if phrase in lower]
    if not found:
        return set()
    return {
        index
        for index, line in enumerate(lines)
        if len(line) <= _MAX_CHARS and any(phrase in line.lower() for phrase in found)
    }


def _find_mark(lines: Sequence[str], index: int, phrases: Phrases) -> tuple[str, int] | None:
    """What begins at a line, and the line after it.

    "history": all below is old. "forward": all below is old, unless nothing stands above. "quote" and "rule": only this
    line goes.
    """
    line = lines[index]
    if len(line) > _MAX_CHARS:
        return None
    if line.startswith(_DASHES) or line.endswith(_COLONS):
        if phrases.history.fullmatch(line):
            return "history", index + 1
        if phrases.forward.fullmatch(line):
            return "forward", _skip_header(lines, next_text(lines, index + 1), phrases)
    if _RULE.fullmatch(line):
        below = next_text(lines, index + 1)
        end = _skip_header(lines, below, phrases)
        return ("forward", end) if end > below else ("rule", index + 1)
    if end := _skip_attribution(lines, index, phrases):
        below = next_text(lines, end)
        return ("quote" if below < len(lines) and lines[below].startswith(">") else "history"), end
    end = _skip_header(lines, index, phrases)
    return ("forward", end) if end > index else None


def _skip_attribution(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after an attribution that begins here, or 0."""
    joined = ""
    for end in range(index, min(index + _MAX_WRAPPED, len(lines))):
        line = lines[end]
        if not line or line.startswith(">") or len(joined) + len(line) > _MAX_CHARS:
            return 0
        joined = f"{joined} {line}" if joined else line
        if not line.endswith(_COLONS) or not _DATED.search(joined):
            continue
        is_one = phrases.attribution.fullmatch(joined) or (
            end == index and phrases.attribution_by_name.fullmatch(joined)
        )
        if not is_one:
            continue
        below = next_text(lines, end + 1)
        if _FULLY_DATED.search(joined) or (below < len(lines) and lines[below].startswith(">")):
            return end + 1
    return 0


def _skip_header(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after a block of `From: …`, `Sent: …`, `Subject: …` that begins here, or the same line."""
    if index < len(lines) and _is_flat_header(lines[index], phrases):
        return index + 1
    names: set[str] = set()
    is_dated = False
    end = index
    for number in range(index, min(index + _MAX_HEADER, len(lines))):
        line = lines[number]
        header = _HEADER_LINE.fullmatch(line[:_MAX_CHARS]) if ":" in line or "：" in line else None
        name = header[1].lower() if header else ""
        if name in phrases.header_words:
            names.add(name)
            is_dated = is_dated or _DATED.search(line) is not None
            end = number + 1
        elif not line or number == index or number > end:
            break
    # Without a date or an address, somebody tells what stood in a mail.
    is_block = names & phrases.from_words and len(names) > 1 and is_dated
    return end if is_block else index


def _is_flat_header(line: str, phrases: Phrases) -> bool:
    """`From: … Sent: … To: … Subject: …` whose line breaks are lost."""
    if line.count(":") < 3 or len(line) > _MAX_CHARS:
        return False
    names = [name.lower() for name in _NAME.findall(line)]
    known = phrases.header_words.intersection(names)
    return names[:1] != [] and names[0] in phrases.from_words and len(known) > 2 and bool(known & phrases.subject_words)


def next_text(lines: Sequence[str], index: int) -> int:
    """The first line from `index` on that is not empty, or the number of lines."""
    while index < len(lines) and not lines[index]:
        index += 1
    return index
