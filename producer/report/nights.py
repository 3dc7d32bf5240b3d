"""Nights and their figures: what was submitted on one day is one night."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from aftercall.ledger import account, history
from aftercall.ledger.account import Account
from aftercall.ledger.history import SummaryFigures
from producer.report.drift import Figure

#: Submissions that are looked at for one night, at most, on average.
_MAX_PER_NIGHT = 15


def nights_before(database: Engine, number: int, num_nights: int) -> list[list[int]]:
    """The submissions of each of the last nights before a submission, newest night first."""
    by_day: dict[str, list[int]] = {}
    for earlier, created_at in history.submissions_before(database, number, num_nights * _MAX_PER_NIGHT):
        by_day.setdefault(f"{datetime.fromtimestamp(created_at):%Y-%m-%d}", []).append(earlier)
    return list(by_day.values())[:num_nights]


def night_figures(database: Engine, numbers: Sequence[int]) -> list[Figure]:
    """The figures of one night; empty if it has no summaries."""
    figures = history.summary_figures(database, numbers)
    if not figures.num_summaries:
        return []
    return make_figures(account.add_up([account.account(database, each) for each in numbers]), figures)


def make_figures(together: Account, figures: SummaryFigures) -> list[Figure]:
    """Of a night's account and the figures of its summaries."""
    num = max(figures.num_summaries, 1)
    flagged = [] if figures.num_flagged is None else [Figure("need review", figures.num_flagged / num, 0.02)]
    return [
        Figure("tokens in a summary", figures.mean_tokens, figures.mean_tokens * 0.1, is_share=False),
        Figure("failed", together.failed / max(together.submitted, 1), 0.01),
        Figure("cut at the token limit", figures.num_cut / num, 0.02),
        Figure("read only in part", figures.num_partial / num, 0.02),
        *flagged,
    ]
