"""A prompt that asks for a summary of the transcript in it: the request is parted from the transcript."""

import re
from collections import Counter
from collections.abc import Iterator

from producer.readers.raw import RawTurn
from producer.readers.transcripts.openings import Opening, read_opening
from producer.readers.transcripts.transcript import split_transcript

#: What ends such a prompt: a quote's or a tag's end, a rule, `Summary:`.
_END = re.compile(r"[\"'`]{3}|[-=*#]{3,}|</?\w[\w -]*>|[#* ]*(?:your )?summary[*: ]*", re.IGNORECASE)
#: A longer line is text, and the expression is not tried on it.
_MAX_END_CHARS = 60


def split_prompt(text: str) -> Iterator[RawTurn]:
    """The turns of the transcript in a prompt; what is above and below it is an event.

    Raises RowError as `split_transcript` does.
    """
    lines = text.splitlines()
    start = _find_start(lines)
    end = len(lines)
    while end > start and _is_end(lines[end - 1].strip()):
        end -= 1
    request = "\n".join([*lines[:start], *lines[end:]]).strip()
    if request:
        yield RawTurn(request, kind="event")
    yield from split_transcript("\n".join(lines[start:end]))


def _is_end(line: str) -> bool:
    return not line or (len(line) <= _MAX_END_CHARS and _END.fullmatch(line) is not None)


def _find_start(lines: list[str]) -> int:
    """The first line that a customer, an agent or someone who speaks twice opens; 0 if there is none."""
    openings = [opening if isinstance(opening := read_opening(line), Opening) else None for line in lines]
    spoken = Counter(opening.key for opening in openings if opening)
    for number, opening in enumerate(openings):
        if opening and (opening.role in ("user", "agent") or spoken[opening.key] > 1):
            return number
    return 0
