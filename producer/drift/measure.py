"""Compares a night with the last ones. Reads the ledger; the arithmetic is that of the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from aftercall.ledger import account, history
from aftercall.masking import printable
from producer.drift.texts import Texts, mix_figure, read_texts, text_figures
from producer.report.drift import MIN_NIGHTS, Change, Figure, compare
from producer.report.nights import night_figures, nights_before

#: Nights that a night is compared with.
NUM_NIGHTS = 28

#: Conversations whose words are read, of each night.
MAX_TEXTS = 500

#: Labels of summaries whose mix is compared: the column, and what the figure is called.
_MIXES = {"reason": "another contact reason than usual", "reasons": "another reason for a review than usual"}


@dataclass(frozen=True, slots=True)
class Drift:
    """How a night differs from the last ones."""

    name: str
    changes: tuple[Change, ...]
    num_nights: int

    @property
    def drifted(self) -> list[Change]:
        """The figures that are not what they were."""
        return [change for change in self.changes if change.is_drift]

    @property
    def sentence(self) -> str:
        """The answer, for people."""
        if self.num_nights < MIN_NIGHTS:
            return (
                f"{self.name}: {self.num_nights} earlier nights with summaries, and {MIN_NIGHTS} are needed to compare."
            )
        if not self.drifted:
            return f"{self.name} is like the last {self.num_nights} nights."
        found = "; ".join(map(_describe, self.drifted))
        return f"{self.name} differs from the last {self.num_nights} nights: {found}."


@dataclass(frozen=True, slots=True)
class _Night:
    figures: list[Figure]
    texts: Texts
    mixes: dict[str, Counter[str]]


def measure(database: Engine, number: int) -> Drift:
    """Compare the night of a submission, with all that was submitted before it on that day, with the nights before.

    Raises NotFoundError if there is no such submission.
    """
    record = account.submission(database, number)
    day, *before = _group(database, number, record.created_at)
    tonight = _read(database, day)
    nights = [night for numbers in before if (night := _read(database, numbers)).figures]
    others = [_compared(night, [each for each in nights if each is not night]) for night in nights]
    changes = [
        compare(figure, [each.value for other in others for each in other if each.name == figure.name])
        for figure in _compared(tonight, nights)
    ]
    name = f"The night of {datetime.fromtimestamp(record.created_at):%Y-%m-%d} ({printable(record.name)})"
    return Drift(name, tuple(changes), len(nights))


def _group(database: Engine, number: int, created_at: float) -> list[list[int]]:
    """The submissions of the night, then those of each night before."""
    earlier = nights_before(database, number, NUM_NIGHTS + 1)
    if earlier:
        newest = account.submission(database, earlier[0][0]).created_at
        if datetime.fromtimestamp(newest).date() == datetime.fromtimestamp(created_at).date():
            return [[number, *earlier[0]], *earlier[1:]]
    return [[number], *earlier[:NUM_NIGHTS]]


def _read(database: Engine, numbers: Sequence[int]) -> _Night:
    return _Night(
        figures=night_figures(database, numbers),
        texts=read_texts(history.some_texts(database, numbers, MAX_TEXTS)),
        mixes={column: Counter(dict(history.tally(database, numbers, column))) for column in _MIXES},
    )


def _compared(night: _Night, others: Sequence[_Night]) -> list[Figure]:
    """All figures of a night, some of which are relative to other nights."""
    mixes = [
        mix_figure(name, night.mixes[column], [other.mixes[column] for other in others])
        for column, name in _MIXES.items()
        if night.mixes[column]
    ]
    return [*night.figures, *text_figures(night.texts, [other.texts for other in others]), *mixes]


def _describe(change: Change) -> str:
    figure, before = change.figure, change.before or 0.0
    if figure.is_share:
        return f"{figure.name}, {figure.value:.1%} instead of {before:.1%}"
    return f"{figure.name}, {figure.value:.0f} instead of {before:.0f}"
