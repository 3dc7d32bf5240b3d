"""Delimited lines as records: quoted cells, cells with line breaks, and what to do where the quoting is broken.

A broken record costs its first line; the lines after it are read again. How much may be read again is bounded by what
was read, so that no file takes more than linear time: past the bound, all lines of a broken record are rejected.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator

from producer.readers.rows import Record, Rejected

#: A longer record was never closed. The csv module's own limit for a cell, 131,072, is less than a long transcript.
MAX_RECORD_CHARS = 32 << 20

#: Characters that may be read again for each one read, and those that any file may cost.
MAX_AGAIN_RATIO = 8
MIN_AGAIN_CHARS = 1 << 20

#: `\"` is how some programs write a quote inside a quoted cell. An escaped backslash escapes nothing more.
_ESCAPED_QUOTE = re.compile(r'((?:\\\\)*)\\"')


class Lines:
    """Lines, of which those taken for a broken record can be given back."""

    def __init__(self, stream: Iterator[str]) -> None:
        self._stream = stream
        self._given_back: deque[str] = deque()
        self._given_back_chars = 0
        self.taken: list[str] = []
        self._taken_chars = 0
        self._num_chars = 0
        #: Characters that were given back, in all.
        self.num_chars_again = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._given_back:
            line = self._given_back.popleft()
            self._given_back_chars -= len(line)
        else:
            line = next(self._stream)
        self.taken.append(line)
        self._taken_chars += len(line)
        if self._taken_chars > MAX_RECORD_CHARS:
            raise csv.Error(f"a record longer than {MAX_RECORD_CHARS >> 20} Mi characters")
        return line

    def forget(self) -> None:
        """What was taken is done with."""
        self._num_chars += self._taken_chars
        self.taken.clear()
        self._taken_chars = 0

    def give_back(self, kept: int) -> None:
        """Give back what was taken, but for the first `kept` lines."""
        again = self.taken[kept:]
        num_chars = sum(map(len, again))
        self.num_chars_again += num_chars
        self._given_back_chars += num_chars
        self._given_back.extendleft(reversed(again))
        del self.taken[kept:]
        self._taken_chars -= num_chars

    def may_be_read_again(self) -> bool:
        """Whether reading again has stayed in proportion to what was read."""
        num_chars = self._num_chars + self._taken_chars + self._given_back_chars
        return self.num_chars_again <= MIN_AGAIN_CHARS + MAX_AGAIN_RATIO * num_chars

    def with_doubled_quotes(self) -> Iterator[str]:
        """The lines, with `\\"` written as `\"\"`."""
        for line in self:
            yield _ESCAPED_QUOTE.sub(r'\1""', line)


def read_records(
    lines: Lines, delimiter: str, *, first_line: int = 1, has_rows: bool = False
) -> Iterator[Record | Rejected]:
    """Every record but the blank ones, the header first. One broken record costs its own line only.

    Args:
        first_line: the number of the first line.
        has_rows: records are numbered, not lines, as for the sheet of a workbook.
    """
    # The limit is the process', and a source may be read in another one than it was opened in.
    csv.field_size_limit(MAX_RECORD_CHARS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = first_line
    while True:
        try:
            cells = next(reader)
            if any(cells) and (len(cells) > 1 or not cells[0].isspace()):
                yield Record(line, tuple(cells))
        except StopIteration:
            return
        except csv.Error as error:
            yield from _recover(lines, delimiter, line, error)
        line += 1 if has_rows else len(lines.taken)
        lines.forget()


def _recover(lines: Lines, delimiter: str, line: int, error: csv.Error) -> Iterator[Record | Rejected]:
    r"""Read a broken record with `\"` for a quote, or else reject its first line."""
    if lines.may_be_read_again() and any('\\"' in taken for taken in lines.taken):
        lines.give_back(0)
        try:
            yield Record(line, tuple(next(csv.reader(lines.with_doubled_quotes(), delimiter=delimiter, strict=True))))
            return
        except (csv.Error, StopIteration):
            pass
    what = str(error).replace("\t", "tab")
    if lines.may_be_read_again():
        lines.give_back(1)
    for number, taken in enumerate(lines.taken, line):
        yield Rejected(number, f"the quoting is broken ({what}).", (taken.rstrip("\r\n"),))
