"""Messages to a webhook: asked for when a source is submitted, written when its submission has ended, kept until
they are delivered.

Each statement is a transaction. A message has one key and one body however often it is sent.
"""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, not_, or_, select, update

from aftercall.database import now, reading
from aftercall.ledger.statements import insert, run
from aftercall.models import Job, JobState, Submission, SubmissionJob, Webhook

#: With the waits below, about a day of attempts.
MAX_ATTEMPTS = 30
FIRST_WAIT_S = 10.0
MAX_WAIT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message that is due, or was until it was claimed."""

    id: int
    submission_id: int
    #: The same for every attempt, so that the receiver can drop repetitions.
    key: str
    #: None until its submission has ended and its state was written down.
    body: str | None
    #: Attempts made so far.
    attempts: int


def ask(engine: Engine, submission_id: int, *, after_s: float = 0.0) -> None:
    """Ask for a message at the end of a submission, but not before `after_s` from now; one that is asked for stays."""
    row = {
        "submission_id": submission_id,
        "key": uuid4().hex,
        "attempts": 0,
        "due_at": now() + after_s,
        "created_at": now(),
    }
    with engine.begin() as connection:
        statement = insert(connection, Webhook).values(row)
        connection.execute(
            statement.on_conflict_do_nothing(index_elements=["submission_id"], index_where=Webhook.body.is_(None))
        )


def settle(engine: Engine, submission_id: int, *, is_wanted: bool) -> None:
    """Send what was asked for as soon as the submission has ended, or not at all."""
    is_asked = (Webhook.submission_id == submission_id) & Webhook.body.is_(None)
    if is_wanted:
        run(engine, update(Webhook).where(is_asked).values(due_at=0.0))
        return
    with engine.begin() as connection:
        connection.execute(delete(Webhook).where(is_asked))


def due(engine: Engine) -> list[Message]:
    """Messages that may be sent now: their submission has ended, or had ended when they were written."""
    query = (
        select(Webhook.id, Webhook.submission_id, Webhook.key, Webhook.body, Webhook.attempts)
        .outerjoin(Submission, Submission.id == Webhook.submission_id)
        .where(_is_pending(), Webhook.due_at <= now(), or_(Webhook.body.is_not(None), _has_ended()))
        .order_by(Webhook.id)
    )
    with reading(engine) as connection:
        return [Message(*row) for row in connection.execute(query)]


def write(engine: Engine, message_id: int, body: str) -> str:
    """Keep a message's body; returns the one that counts, which another process may have written before."""
    run(engine, update(Webhook).where(Webhook.id == message_id, Webhook.body.is_(None)).values(body=body))
    with reading(engine) as connection:
        return str(connection.execute(select(Webhook.body).where(Webhook.id == message_id)).scalar_one())


def claim(engine: Engine, message: Message) -> bool:
    """Take a message for one attempt. False if another process has it, or if it is delivered.

    The next attempt is due after a wait that doubles, whatever becomes of this one: a process that dies while it sends
    loses nothing.
    """
    wait_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0**message.attempts)
    statement = (
        update(Webhook)
        .where(Webhook.id == message.id, Webhook.attempts == message.attempts, _is_pending(), Webhook.due_at <= now())
        .values(attempts=message.attempts + 1, due_at=now() + wait_s)
    )
    return run(engine, statement) == 1


def delivered(engine: Engine, message_id: int) -> None:
    """Record that the receiver has a message."""
    run(engine, update(Webhook).where(Webhook.id == message_id).values(delivered_at=now(), error=None))


def failed(engine: Engine, message_id: int, error: str) -> None:
    """Record why an attempt failed."""
    run(engine, update(Webhook).where(Webhook.id == message_id).values(error=error))


def retry(engine: Engine) -> int:
    """Make every undelivered message due now, those that were given up too. Returns how many there are."""
    statement = update(Webhook).where(Webhook.delivered_at.is_(None), Webhook.body.is_not(None))
    return run(engine, statement.values(attempts=0, due_at=0.0))


def _is_pending() -> ColumnElement[bool]:
    return and_(Webhook.delivered_at.is_(None), Webhook.attempts < MAX_ATTEMPTS)


def _has_ended() -> ColumnElement[bool]:
    """As `producer.standing.has_ended` has it, by the partial indexes of open jobs."""
    is_closed = or_(Submission.read_at.is_not(None), Submission.cancelled_at.is_not(None))
    kinds = (
        and_(Job.state == JobState.QUEUED, Job.sent_at.is_(None)),
        and_(Job.state == JobState.QUEUED, Job.sent_at.is_not(None)),
        Job.state == JobState.RUNNING,
    )
    open_jobs = [
        exists().where(kind, SubmissionJob.job_id == Job.id, SubmissionJob.submission_id == Submission.id)
        for kind in kinds
    ]
    return and_(Submission.id.is_not(None), is_closed, *(not_(each.correlate(Submission)) for each in open_jobs))
