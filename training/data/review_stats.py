"""Figures over a log of reviews: acceptance, edit distance and agreement, by adapter, channel, reason and month."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from training.data.reviews import Review

#: What reviews are grouped by. A review is in one group for each of its codes.
GROUPINGS: Mapping[str, Callable[[Review], Sequence[str]]] = {
    "adapter": lambda review: [review.adapter or "base model alone"],
    "channel": lambda review: [review.channel],
    "flag": lambda review: review.flags.split() or ["none"],
    "reason": lambda review: [review.reason] if review.reason else [],
    "drawn": lambda review: [review.drawn or "unknown"],
    "month": lambda review: [review.day[:7]],
}


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """Figures over some reviews."""

    num_reviews: int
    #: Share of reviews that left the summary as it was, 0 to 1.
    acceptance: float
    #: Mean share of words that corrections changed, 0 to 1; None without corrections.
    edit_share: float | None
    #: Of two reviewers of the same summary, the share of pairs with the same decision; None without such pairs.
    agreement: float | None
    num_pairs: int


def count_reviews(reviews: Iterable[Review]) -> ReviewFigures:
    """The figures over at least one review."""
    reviews = list(reviews)
    edits = [review.edit_share for review in reviews if not review.is_approved]
    by_summary: dict[tuple[str, str], list[Review]] = defaultdict(list)
    for review in reviews:
        by_summary[review.job, review.summary].append(review)
    same = [
        first.decision == second.decision
        for together in by_summary.values()
        for first, second in combinations(together, 2)
    ]
    return ReviewFigures(
        num_reviews=len(reviews),
        acceptance=sum(review.is_approved for review in reviews) / len(reviews),
        edit_share=sum(edits) / len(edits) if edits else None,
        agreement=sum(same) / len(same) if same else None,
        num_pairs=len(same),
    )


def group_reviews(reviews: Iterable[Review], grouping: str) -> dict[str, ReviewFigures]:
    """The figures of each group, by its name."""
    groups: dict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        for name in GROUPINGS[grouping](review):
            groups[name].append(review)
    return {name: count_reviews(groups[name]) for name in sorted(groups)}
