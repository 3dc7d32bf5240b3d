"""What to propose where nothing is recognised: the columns that look most like an id, a speaker and a text. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from producer.readers.layouts import names
from producer.readers.layouts.values import is_missing, take_label

_MAX_LABEL_CHARS = 60


def propose_map(samples: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str | None:
    """Pairs for --map, as they are typed but for quotes; None if the values say too little."""
    values = {column: given for column in columns if (given := _values(samples, column))}
    text = max(values, key=lambda column: _mean_chars(values[column]), default=None)
    external_id = _find_id(samples, values, text)
    if text is None or external_id is None:
        return None
    is_shared = len(set(values[external_id])) < len(values[external_id])
    others = {column: values[column] for column in values if column not in (text, external_id)}
    speaker = find_speaker(others) if is_shared else None
    return f"id={external_id},speaker={speaker},text={text}" if speaker else f"id={external_id},transcript={text}"


def find_speaker(values: Mapping[str, Sequence[str]]) -> str | None:
    """Of some columns or keys, the one with the fewest different short values, of which each comes again."""
    counts = {
        column: len(set(given))
        for column, given in values.items()
        if max(map(len, given)) <= _MAX_LABEL_CHARS and (len(set(given)) < len(given) or len(given) == 2)
    }
    several = {column: count for column, count in counts.items() if count > 1}
    return min(several, key=lambda column: several[column], default=None)


def find_shared(samples: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str | None:
    """The column that may say which rows belong together: called like an id, and not different in each row."""
    for column in columns:
        given = _values(samples, column)
        is_id = names.snake(column).endswith(("id", "number", "no", "nr", "key", "ref"))
        if is_id and 1 < len(set(given)) < len(given):
            return column
    return None


def _find_id(samples: Sequence[Mapping[str, Any]], values: Mapping[str, Sequence[str]], text: str | None) -> str | None:
    known = [names.plain(name) for name in names.IDS]
    others = [column for column in values if column != text and len(values[column]) * 2 > len(samples)]
    called = [column for column in others if names.plain(column) in known]
    short = [column for column in others if max(map(len, values[column])) <= _MAX_LABEL_CHARS]
    return min(called, key=lambda column: known.index(names.plain(column)), default=next(iter(short), None))


def _values(samples: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    found = [item.get(column) for item in samples]
    return [take_label(value) for value in found if not is_missing(value) and isinstance(value, str | int | float)]


def _mean_chars(given: Sequence[str]) -> float:
    return sum(map(len, given)) / len(given)
