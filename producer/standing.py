"""Where submissions stand: record, account, times, speed and estimate together, as every command shows them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine

from aftercall.errors import NotFoundError, NotReadyError
from aftercall.ledger import account, pace, pause, workers
from aftercall.ledger.account import Account, SubmissionRecord
from aftercall.ledger.pace import Pace, Span
from aftercall.ledger.pause import PauseRecord
from aftercall.ledger.workers import LiveWorker
from producer.estimate import Estimate, expected_end
from producer.when import next_deadline


@dataclass(frozen=True, slots=True)
class Standing:
    """One submission: what was submitted, what became of it, how fast, and when it ends."""

    record: SubmissionRecord
    account: Account
    span: Span
    estimate: Estimate

    @property
    def has_ended(self) -> bool:
        """Whether the source is read and nothing in it is open."""
        return has_ended(self.record, self.account)

    @property
    def rate(self) -> float | None:
        """Conversations/s from the submission to its end, or to now; None if nothing was worked on."""
        until = self.estimate.ended_at or self.estimate.pace.at
        elapsed_s = until - self.record.created_at
        return self.span.num_worked / elapsed_s if self.span.num_worked and elapsed_s > 0 else None


@dataclass(frozen=True, slots=True)
class Standings:
    """Several submissions, oldest first, and the workers, at one moment."""

    submissions: tuple[Standing, ...]
    workers: tuple[LiveWorker, ...]
    pace: Pace
    pause: PauseRecord | None = None

    @property
    def total(self) -> Account:
        """The account of all of them together."""
        return account.add_up([each.account for each in self.submissions])

    @property
    def num_rejected(self) -> int:
        """Rows rejected in all of them together."""
        return sum(each.record.num_rejected for each in self.submissions)


def has_ended(record: SubmissionRecord, standing: Account) -> bool:
    """Whether nothing more will happen to a submission by itself. A source that is still read may bring more."""
    return (record.is_read or record.is_cancelled) and not standing.open


def latest(database: Engine) -> int:
    """The number of the submission that was made last.

    Raises NotFoundError if there is none.
    """
    number = pace.newest_submission(database)
    if number is None:
        raise NotFoundError("nothing was submitted yet. Run `aftercall submit SOURCE` first.")
    return number


def check_ended(database: Engine, submission_id: int) -> None:
    """Make sure that a submission has ended.

    Raises NotReadyError if its source is not read to its end or conversations are open, NotFoundError if it is missing.
    """
    record = account.submission(database, submission_id)
    standing = account.account(database, submission_id)
    if not has_ended(record, standing):
        what = f"{standing.open:,} conversations are open" if standing.open else "its source is not read to its end"
        raise NotReadyError(
            f"submission {submission_id} has not ended: {what}. Run `aftercall wait {submission_id}` first."
        )


def read_standings(
    database: Engine,
    submission_ids: Collection[int] | None = None,
    deadline: str | None = None,
    deadline_at: float | None = None,
) -> Standings:
    """Where these submissions stand, or all.

    Args:
        deadline: as `next_deadline` reads it; a time of the day is the first one after each was submitted.
        deadline_at: the same moment for all of them, in seconds since the epoch, instead.

    Raises NotFoundError if one is missing.
    """
    records = (
        account.submissions(database)
        if submission_ids is None
        else [account.submission(database, number) for number in sorted(set(submission_ids))]
    )
    tallies = pace.tallies(database, submission_ids)
    now = pace.pace(database)
    standings = []
    for record in records:
        counted, span = tallies.get(record.id, (account.EMPTY, Span()))
        at = next_deadline(deadline, record.created_at) if deadline else deadline_at
        ended_at = (span.last_at or record.created_at) if has_ended(record, counted) else None
        expected_at = expected_end(span.num_ahead, now) if counted.open else None
        standings.append(Standing(record, counted, span, Estimate(ended_at, expected_at, at, now)))
    return Standings(tuple(standings), tuple(workers.alive(database)), now, pause.current(database))
