"""What people do to jobs: cancel a submission, make it more urgent, queue failed or finished jobs again."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, Update, case, exists, func, null, select, text, update

from aftercall.database import now, reading
from aftercall.ledger import tally
from aftercall.ledger.statements import (
    OPEN,
    UNINDEXED_STATE,
    fresh,
    job_batches,
    jobs_of,
    progress_of,
    update_submission,
)
from aftercall.models import Job, JobState, Priority, Submission, SubmissionJob, Summary


def cancel(engine: Engine, submission_id: int) -> int:
    """Cancel the open conversations of a submission that no other submission also wants. Returns how many.

    A job that has a summary and was queued to be done again becomes done again. A submission whose source was read and
    that has nothing open is finished; it is not marked as cancelled.

    In short transactions: first the mark, which keeps conversations from being added, then the jobs. Cut short, the
    same call finishes the rest. If the submission is taken up again meanwhile, what is left stays open.
    """
    if not _mark_cancelled(engine, submission_id):
        return 0
    num_cancelled = 0
    for job_ids in job_batches(engine, submission_id):
        with engine.begin() as connection:
            _hold_all_submissions(connection)
            is_cancelled = select(Submission.cancelled_at).where(Submission.id == submission_id)
            if connection.execute(is_cancelled).scalar_one_or_none() is None:
                break
            num_cancelled += _change(connection, _cancel_jobs(submission_id, job_ids), submission_id)
    return num_cancelled


def _mark_cancelled(engine: Engine, submission_id: int) -> bool:
    """Record that a submission is cancelled, unless it was read and has nothing open. Whether it is recorded."""
    with engine.begin() as connection:
        _hold_all_submissions(connection)
        counted = tally.read(connection, [submission_id])[0].get(submission_id, tally.Tally())
        mark = update_submission(submission_id).values(cancelled_at=now())
        if not any(counted.states[state] for state in OPEN):
            mark = mark.where(Submission.read_at.is_(None))
        return connection.execute(mark).rowcount > 0


def _cancel_jobs(submission_id: int, job_ids: Collection[int]) -> Update:
    """An UPDATE of those of the jobs that are open and that no other submission wants."""
    # NOT EXISTS looks up each job's other places. PostgreSQL turns NOT IN into a list, and once the list outgrows its
    # memory, it is scanned for every job.
    is_wanted_elsewhere = exists().where(
        SubmissionJob.job_id == Job.id,
        SubmissionJob.submission_id == Submission.id,
        Submission.id != submission_id,
        Submission.cancelled_at.is_(None),
    )
    was_done = exists().where(Summary.job_id == Job.id)
    return (
        update(Job)
        .where(Job.id.in_(job_ids), ~is_wanted_elsewhere, UNINDEXED_STATE.in_(OPEN))
        .values(
            state=case((was_done, JobState.DONE.value), else_=JobState.CANCELLED.value),
            lease_owner=None,
            finished_at=now(),
        )
    )


def prioritize(engine: Engine, submission_id: int, priority: Priority) -> int:
    """Give a submission another priority, and with it what of it waits. Returns how many conversations that is.

    A job stays as urgent as the most urgent submission that wants it. One that becomes more urgent and has a message
    gets another, which overtakes it.
    """
    this = update_submission(submission_id).where(Submission.priority != priority)
    with engine.begin() as connection:
        if not connection.execute(this.values(priority=priority, next_turn=progress_of(priority))).rowcount:
            return 0
    num_changed = 0
    for job_ids in job_batches(engine, submission_id):
        with engine.begin() as connection:
            held = select(Submission.next_turn).where(Submission.id == submission_id)
            turn = connection.execute(held.with_for_update(key_share=True)).scalar_one_or_none()
            if turn is None:
                break
            num = _change(connection, _prioritize_jobs(job_ids, turn), submission_id)
            connection.execute(update_submission(submission_id).values(next_turn=turn + num))
            num_changed += num
    return num_changed


def _prioritize_jobs(job_ids: Collection[int], turn: int) -> Update:
    most_urgent = (
        select(func.min(Submission.priority))
        .join(SubmissionJob, SubmissionJob.submission_id == Submission.id)
        .where(SubmissionJob.job_id == Job.id, Submission.cancelled_at.is_(None))
        .correlate(Job)
        .scalar_subquery()
    )
    changed = select(Job.id).where(Job.id.in_(job_ids), UNINDEXED_STATE == JobState.QUEUED, Job.priority != most_urgent)
    sent_at = case((Job.priority > most_urgent, null()), else_=Job.sent_at)
    # Locked in the order of their numbers; what is locked is being sent or claimed.
    free = changed.order_by(Job.id).with_for_update(skip_locked=True, of=Job)
    return update(Job).where(Job.id.in_(free)).values(priority=most_urgent, turn=turn, sent_at=sent_at)


def requeue(engine: Engine, submission_id: int | None, states: Collection[JobState], code: str | None = None) -> int:
    """Queue the jobs in `states` (failed, cancelled) of a submission, or of all, with all their attempts again.

    With a code, only what failed with that code. Returns how many conversations.
    """
    conditions: list[ColumnElement[bool]] = []
    marked = update(Submission)
    if code is not None:
        conditions.append(Job.error_code == code)
    if submission_id is not None:
        conditions.append(Job.id.in_(jobs_of(submission_id)))
        marked = update_submission(submission_id)
    with engine.begin() as connection:
        if JobState.CANCELLED in states:
            connection.execute(marked.values(cancelled_at=None))
        return _change(connection, _queue_again(Job.state.in_(states), conditions), submission_id)


def count_written_by(engine: Engine, adapter_digest: str) -> int:
    """How many conversations' newest summary was written with an adapter."""
    query = select(func.count()).select_from(SubmissionJob).join(Job).where(_is_written_by(adapter_digest))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def redo(engine: Engine, adapter_digest: str) -> int:
    """Queue the conversations whose newest summary was written with an adapter again. Returns how many.

    That summary is kept in addition to the new one, unless the same adapter writes both.
    """
    with engine.begin() as connection:
        return _change(connection, _queue_again(Job.state == JobState.DONE, [_is_written_by(adapter_digest)]), None)


def _queue_again(has_state: ColumnElement[bool], conditions: Sequence[ColumnElement[bool]]) -> Update:
    """An UPDATE of jobs in a state, which take turns with what waits: a night that is done again holds up no other."""
    rank = func.row_number().over(order_by=Job.id).label("rank")
    ranked = select(Job.id, rank).where(has_state, *conditions).subquery()
    turn = progress_of(Job.priority) + ranked.c.rank
    # The state again: it may change while the transaction waits for the row.
    return update(Job).where(Job.id == ranked.c.id, has_state).values(fresh() | {"attempts": 0, "turn": turn})


def _is_written_by(adapter_digest: str) -> ColumnElement[bool]:
    newest = select(func.max(Summary.id)).group_by(Summary.job_id)
    theirs = select(Summary.job_id).where(Summary.id.in_(newest), Summary.adapter_digest == adapter_digest)
    return Job.id.in_(theirs) & (Job.state == JobState.DONE)


def _hold_all_submissions(connection: Connection) -> None:
    """Lock all submissions against additions and cancellations until the transaction ends."""
    # Another submission must not come to want a conversation after that was checked. SQLite has one writer at a time.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE submission IN EXCLUSIVE MODE"))


def _change(connection: Connection, statement: Update, submission_id: int | None) -> int:
    """Change jobs. Returns how many conversations that is, of a submission or of all.

    As in the account, a text that occurs twice counts twice.
    """
    places = select(func.count()).where(SubmissionJob.job_id == Job.id)
    if submission_id is not None:
        # Wrapped, so that each job looks up its own places and no planner reads all of the submission's for it.
        places = places.where(func.coalesce(SubmissionJob.submission_id, 0) == submission_id)
    return sum(connection.execute(statement.returning(places.scalar_subquery())).scalars())
