"""Why rows were rejected, counted by reason, from the files that `aftercall submit` wrote."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Ids, numbers and quoted words differ from row to row; without them, reasons of one kind are equal.
_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,]*")

#: Cells of a rejected row may be large; the reason comes before them.
MAX_CELL = 10_000_000


def count_reasons(paths: Iterable[Path]) -> list[tuple[str, int]]:
    """How many rows were rejected for each reason, most frequent first; each in the words of its first row."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason in (reason for path in paths for reason in _reasons(path)):
        kind = _DETAILS.sub("…", reason)
        counts[kind] += 1
        examples.setdefault(kind, reason)
    return [(examples[kind], count) for kind, count in counts.most_common()]


def _reasons(path: Path) -> Iterator[str]:
    if not path.is_file():
        return
    csv.field_size_limit(MAX_CELL)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            yield row.get("reason") or "no reason was written"
