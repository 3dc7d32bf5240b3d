"""Counts the conversations of submissions from the partial indexes of `job`, without a look at its rows. Only reads.

Each job is counted in the submission that `Job.submission_id` names, its home. Other places of the job, in other
submissions or for a text that occurs twice, are guests: their jobs are looked up one by one.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, case, func, literal_column, select, true

from aftercall.ledger.statements import is_among
from aftercall.models import Job, JobState, Submission, SubmissionJob

#: As the index has it: with parameters, no planner sees that the index contains these rows.
IS_CLOSED = Job.state.not_in([literal_column("'queued'"), literal_column("'running'")])
IS_UNSENT = and_(Job.state == JobState.QUEUED, Job.sent_at.is_(None))
IS_SENT = and_(Job.state == JobState.QUEUED, Job.sent_at.is_not(None))
IS_RUNNING = Job.state == JobState.RUNNING

#: Where a job stands among those that wait: priority, turn, submission. A guest counts as last of its turn.
Rank = tuple[int, int, float]


@dataclass(slots=True)
class Tally:
    """What is counted of one submission."""

    #: Conversations by their job's state. A state that does not exist is counted too.
    states: Counter[str] = field(default_factory=Counter)
    #: Conversations that were done or failed since the source was submitted.
    num_worked: int = 0
    #: When the first and the last were finished since then, in seconds since the epoch; None: none was.
    first_at: float | None = None
    last_at: float | None = None
    #: Conversations with a message, by priority.
    sent: Counter[int] = field(default_factory=Counter)
    #: The last one without a message; None if there is none.
    last_rank: Rank | None = None

    def add_closed(self, state: str, num: int, num_new: int, first_at: float | None, last_at: float | None) -> None:
        """Count conversations in one state, of which `num_new` ended since the source was submitted."""
        self.states[state] += num
        if state in (JobState.DONE, JobState.FAILED):
            self.num_worked += num_new
        self.first_at = min((at for at in (self.first_at, first_at) if at is not None), default=None)
        self.last_at = max((at for at in (self.last_at, last_at) if at is not None), default=None)

    def add_unsent(self, rank: Rank, num: int) -> None:
        """Count conversations that wait for a message."""
        self.states[JobState.QUEUED] += num
        self.last_rank = max(self.last_rank or rank, rank)


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that is open in the ledger, each job once, in the order in which it is sent."""

    #: In order, with how many jobs are without a message up to each.
    unsent: tuple[tuple[Rank, int], ...]
    sent: Counter[int]
    num_running: int

    def num_ahead(self, tally: Tally) -> int:
        """How many open jobs there are up to the last one of a submission, its own among them."""
        if tally.last_rank is not None:
            unsent = max((num for rank, num in self.unsent if rank <= tally.last_rank), default=0)
            return unsent + self.sent.total() + self.num_running
        if not tally.states[JobState.QUEUED] + tally.states[JobState.RUNNING]:
            return 0
        last = max(tally.sent, default=-1)
        return sum(num for priority, num in self.sent.items() if priority <= last) + self.num_running


def read(connection: Connection, submission_ids: Collection[int] | None = None) -> tuple[dict[int, Tally], Waiting]:
    """The tallies of those of these submissions that have conversations, or of all, by number; and what waits."""
    tallies: dict[int, Tally] = {}
    _add_closed(connection, tallies, submission_ids)
    waiting = _add_open(connection, tallies, submission_ids)
    _add_guests(connection, tallies, submission_ids)
    return tallies, waiting


def count_jobs(connection: Connection) -> Counter[str]:
    """How many jobs are in each state, each once however many submissions hold it."""
    counts: Counter[str] = Counter()
    for rows in (IS_CLOSED, IS_UNSENT, IS_SENT, IS_RUNNING):
        counts.update(dict(connection.execute(select(Job.state, func.count()).where(rows).group_by(Job.state)).all()))
    return counts


def _add_closed(connection: Connection, tallies: dict[int, Tally], submission_ids: Collection[int] | None) -> None:
    groups = (
        select(Job.submission_id, Job.state, func.count().label("num"))
        .where(IS_CLOSED, _is_among(Job.submission_id, submission_ids))
        .group_by(Job.submission_id, Job.state)
        .subquery()
    )

    def of_group(what: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
        mine = (Job.submission_id == groups.c.submission_id, Job.state == groups.c.state, *conditions)
        return select(what).select_from(Job).where(IS_CLOSED, *mine).correlate(groups, Submission).scalar_subquery()

    # All but the count is looked up at the ends of each group: computed from every entry, it takes seven times as long.
    is_old, is_new = Job.finished_at < Submission.created_at, Job.finished_at >= Submission.created_at
    num_old = of_group(func.count(), is_old) + of_group(func.count(), Job.finished_at.is_(None))
    ends = (of_group(func.min(Job.finished_at), is_new), of_group(func.max(Job.finished_at), is_new))
    columns = (groups.c.submission_id, groups.c.state, groups.c.num, groups.c.num - num_old, *ends)
    query = select(*columns).join(Submission, Submission.id == groups.c.submission_id)
    for number, *counts in connection.execute(query):
        tallies.setdefault(number, Tally()).add_closed(*counts)


def _add_open(connection: Connection, tallies: dict[int, Tally], submission_ids: Collection[int] | None) -> Waiting:
    """Read all that is open, as the order among submissions matters; add it to those that are asked for."""
    rank = (Job.priority, Job.turn, Job.submission_id)
    unsent = connection.execute(select(*rank, func.count()).where(IS_UNSENT).group_by(*rank).order_by(*rank)).all()
    sent = connection.execute(
        select(Job.submission_id, Job.priority, func.count()).where(IS_SENT).group_by(Job.submission_id, Job.priority)
    ).all()
    running = connection.execute(
        select(Job.submission_id, func.count()).where(IS_RUNNING).group_by(Job.submission_id)
    ).all()

    def find(number: int) -> Tally:
        is_asked_for = submission_ids is None or number in submission_ids
        return tallies.setdefault(number, Tally()) if is_asked_for else Tally()

    for *place, num in unsent:
        find(place[2]).add_unsent((place[0], place[1], place[2]), num)
    for number, priority, num in sent:
        find(number).states[JobState.QUEUED] += num
        find(number).sent[priority] += num
    for number, num in running:
        find(number).states[JobState.RUNNING] += num
    return Waiting(
        unsent=tuple(zip(((p, t, s) for p, t, s, _ in unsent), accumulate(num for *_, num in unsent), strict=True)),
        sent=_total((priority, num) for _, priority, num in sent),
        num_running=sum(num for _, num in running),
    )


def _add_guests(connection: Connection, tallies: dict[int, Tally], submission_ids: Collection[int] | None) -> None:
    turn = case((IS_UNSENT, Job.turn))
    priority = case((Job.state == JobState.QUEUED, Job.priority))
    query = (
        select(SubmissionJob.submission_id, priority, turn, Job.state, *_ends())
        .join(Job, Job.id == SubmissionJob.job_id)
        .join(Submission, Submission.id == SubmissionJob.submission_id)
        .where(SubmissionJob.is_guest, _is_among(SubmissionJob.submission_id, submission_ids))
        .group_by(SubmissionJob.submission_id, priority, turn, Job.state)
    )
    for number, each_priority, each_turn, state, num, *ends in connection.execute(query):
        tally = tallies.setdefault(number, Tally())
        if each_turn is not None:
            tally.add_unsent((each_priority, each_turn, float("inf")), num)
        elif each_priority is not None:
            tally.states[state] += num
            tally.sent[each_priority] += num
        elif state == JobState.RUNNING:
            tally.states[state] += num
        else:
            tally.add_closed(state, num, *ends)


def _ends() -> tuple[ColumnElement[Any], ...]:
    """How many; of these how many since the source was submitted, and when the first and the last of those."""
    # What was finished before was taken over from another submission.
    ended_at = case((Job.finished_at >= Submission.created_at, Job.finished_at))
    return func.count(), func.count(ended_at), func.min(ended_at), func.max(ended_at)


def _total(counts: Iterable[tuple[int, int]]) -> Counter[int]:
    total: Counter[int] = Counter()
    for key, num in counts:
        total[key] += num
    return total


def _is_among(column: Any, submission_ids: Collection[int] | None) -> ColumnElement[bool]:
    return true() if submission_ids is None else is_among(column, submission_ids)
