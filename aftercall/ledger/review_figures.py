"""What reviews say about the rows that were reviewed, and why. Only reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, Integer, case, cast, func, select

from aftercall.database import reading
from aftercall.ledger.reviews import Decision, is_summary_of_row
from aftercall.models import Review, ReviewRow, Summary

_WEEK_S = 604_800

#: When the first week after the epoch, a Thursday, began.
_FIRST_MONDAY_S = 345_600


@dataclass(frozen=True, slots=True)
class RowFigures:
    """What was found about one row, without the skipped reviews."""

    adapter_digest: str
    #: When the week of the first review began, a Monday in UTC, in seconds since the epoch.
    week_at: float
    #: The contact reason of the summary; None if it has none, or was replaced.
    contact_reason: str | None
    is_control: bool
    num_reviews: int
    num_approved: int
    #: Mean share of words changed.
    edit_share: float
    #: Whether two people decided the same; None: only one has reviewed it.
    is_agreed: bool | None


def row_figures(engine: Engine) -> Iterator[RowFigures]:
    """What was found about each row that is reviewed, streamed."""
    is_approved = Review.decision == Decision.APPROVED
    query = (
        select(
            ReviewRow.adapter_digest,
            cast(func.floor((func.min(Review.created_at) - _FIRST_MONDAY_S) / _WEEK_S), Integer),
            func.max(Summary.reason),
            func.max(cast(ReviewRow.is_control, Integer)),
            func.count(),
            func.count(case((is_approved, 1))),
            func.avg(Review.edit_share),
            case((func.count() > 1, func.count(func.distinct(Review.decision)) == 1)),
        )
        .join(Review, Review.row_id == ReviewRow.id)
        .outerjoin(Summary, is_summary_of_row())
        .where(Review.decision != Decision.SKIPPED)
        .group_by(ReviewRow.id, ReviewRow.adapter_digest)
        .order_by(ReviewRow.id)
    )
    with reading(engine) as connection:
        for adapter, week, reason, control, num, approved, edit, agreed in connection.execute(query):
            is_agreed = None if agreed is None else bool(agreed)
            week_at = float(week) * _WEEK_S + _FIRST_MONDAY_S
            yield RowFigures(adapter, week_at, reason, bool(control), num, approved, float(edit), is_agreed)


def reasons(engine: Engine) -> list[tuple[str, int]]:
    """How often reviewers gave each reason, most frequent first."""
    query = (
        select(Review.reason, func.count())
        .where(Review.reason.is_not(None))
        .group_by(Review.reason)
        .order_by(func.count().desc(), Review.reason)
    )
    with reading(engine) as connection:
        return [(reason or "", count) for reason, count in connection.execute(query)]
