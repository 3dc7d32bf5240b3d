"""What the reviews add up to: by week and adapter, by contact reason, of the control and of the risky rows."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine

from aftercall.ledger import review_figures
from aftercall.ledger.review_figures import RowFigures

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Tally:
    """Figures of some rows."""

    num_rows: int = 0
    num_reviews: int = 0
    num_approved: int = 0
    edit_share: float = 0.0
    #: Rows that two people reviewed, and those of them on which they decided the same.
    num_pairs: int = 0
    num_agreed: int = 0

    def add(self, row: RowFigures) -> None:
        """Count one more row."""
        self.num_rows += 1
        self.num_reviews += row.num_reviews
        self.num_approved += row.num_approved
        self.edit_share += row.edit_share * row.num_reviews
        self.num_pairs += row.is_agreed is not None
        self.num_agreed += row.is_agreed is True

    @property
    def acceptance(self) -> float:
        """Share of reviews that approved the summary."""
        return self.num_approved / self.num_reviews

    @property
    def mean_edit_share(self) -> float:
        """Mean share of words that a review changed, 0 for an approval."""
        return self.edit_share / self.num_reviews

    @property
    def agreement(self) -> float | None:
        """Share of pairs that decided the same; None without a pair."""
        return self.num_agreed / self.num_pairs if self.num_pairs else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page. Newest weeks first, then by the number of rows."""

    by_draw: list[tuple[str, Tally]]
    #: Beginning of the week in seconds since the epoch, adapter, figures.
    by_week: list[tuple[float, str, Tally]]
    by_contact_reason: list[tuple[str, Tally]]
    #: Code of a reviewer's reason and how often it was given.
    reasons: list[tuple[str, int]]


def gather(database: Engine) -> Figures:
    """Read every reviewed row, and add up."""
    rows = list(review_figures.row_figures(database))
    weeks = _tally(((row.week_at, row.adapter_digest), row) for row in rows)
    contacts = _tally((row.contact_reason, row) for row in rows if row.contact_reason)
    draws = _tally((row.is_control, row) for row in rows)
    return Figures(
        by_draw=[(name, draws[key]) for key, name in ((True, "drawn at random"), (False, "by risk")) if key in draws],
        by_week=[
            (week_at, digest, tally)
            for (week_at, digest), tally in sorted(weeks.items(), key=lambda item: item[0], reverse=True)
        ],
        by_contact_reason=sorted(contacts.items(), key=lambda item: -item[1].num_rows),
        reasons=review_figures.reasons(database),
    )


def _tally(rows: Iterable[tuple[Key, RowFigures]]) -> dict[Key, Tally]:
    found: defaultdict[Key, Tally] = defaultdict(Tally)
    for key, row in rows:
        found[key].add(row)
    return found
