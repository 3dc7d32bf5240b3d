"""The ledger's tables. Every statement that changes a job's state is in `ledger`.

Times are seconds since the epoch by the database's clock, so that leases compare the same way everywhere.
"""

from enum import IntEnum, StrEnum

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint, false
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: SQLite numbers rows in INTEGER columns only. Elsewhere 32 bits may not be enough.
RowId = BigInteger().with_variant(Integer, "sqlite")

#: Never reuse a number after a purge: workers, reviewers and scripts may still hold it. PostgreSQL never does.
NUMBERED_ONCE = {"sqlite_autoincrement": True}

#: `Priority.NORMAL`, for rows of older versions.
_NORMAL = "1"


class JobState(StrEnum):
    """The state of a job. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Nothing in the conversation can be summarized. Found at submission, never sent to a model.
    INSUFFICIENT = "insufficient_content"


class Priority(IntEnum):
    """How urgent a submission is. Nothing less urgent is sent while something more urgent waits."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Base(DeclarativeBase):
    """Declarative base of the ledger's tables."""


class Submission(Base):
    """One submitted source."""

    __tablename__ = "submission"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    #: Digest of the source's content and of how it was read: the same file again is the same submission.
    source_digest: Mapped[str] = mapped_column(String(64))
    num_rejected: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[float] = mapped_column(Float(53))
    #: When the source was read to its end; NULL before that, or if reading was interrupted.
    read_at: Mapped[float | None] = mapped_column(Float(53))
    cancelled_at: Mapped[float | None] = mapped_column(Float(53))
    #: How the source was read, as JSON: its layout, what was dropped, how sides were decided, what looked wrong.
    reading: Mapped[str | None] = mapped_column(Text)
    #: A `Priority`. Its jobs have a copy.
    priority: Mapped[int] = mapped_column(Integer, default=Priority.NORMAL, server_default=_NORMAL)
    #: The turn that its next jobs get, unless its priority has come further meanwhile. See `Job.turn`.
    next_turn: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    __table_args__ = (UniqueConstraint("source_digest", name="uq_submission_source_digest"), NUMBERED_ONCE)


class Job(Base):
    """One conversation and its state. Two submissions with the same conversation share its job."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: Digest of (cleaned conversation, cleaner version, adapter if one was asked for): the job's identity.
    job_key: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(Text)
    cleaner_version: Mapped[str] = mapped_column(String(16))
    #: The adapter that was asked for; empty: the base model alone; NULL: whichever is served.
    adapter_digest: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(24))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    #: When a message was last sent for the job; NULL if it has none and the sweep will send one.
    sent_at: Mapped[float | None] = mapped_column(Float(53))
    #: Not to be claimed before this: the end of the lease while running, of the backoff after a failure.
    visible_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    lease_owner: Mapped[str | None] = mapped_column(String(128))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53))
    #: The submission whose account counts the job from this row: the first that wanted it and still holds it. Not a
    #: foreign key, which would be checked for every row of a submit.
    submission_id: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    #: A `Priority`: the most urgent of the submissions that want the job.
    priority: Mapped[int] = mapped_column(Integer, default=Priority.NORMAL, server_default=_NORMAL)
    #: Among jobs of one priority, those with the lowest turn are sent first. Each submission's turns begin where its
    #: priority has come to and count its jobs, so that submissions are sent by turns.
    turn: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    # Partial indexes contain only what the sweep and the accounts look for. No planner uses them in place of the
    # primary key for the few ids of a claim. Each has all columns that its queries need: a look at the rows, with their
    # texts, takes ten times as long. Together they contain every job once.
    __table_args__ = (
        UniqueConstraint("job_key", name="uq_job_key"),
        Index(
            "ix_job_unsent", "priority", "turn", "submission_id", "id",
            postgresql_where=sql("state = 'queued' AND sent_at IS NULL"),
            sqlite_where=sql("state = 'queued' AND sent_at IS NULL"),
        ),
        Index(
            "ix_job_sent", "sent_at", "priority", "submission_id",
            postgresql_where=sql("state = 'queued' AND sent_at IS NOT NULL"),
            sqlite_where=sql("state = 'queued' AND sent_at IS NOT NULL"),
        ),
        Index(
            "ix_job_lease", "visible_at", "submission_id",
            postgresql_where=sql("state = 'running'"),
            sqlite_where=sql("state = 'running'"),
        ),
        Index(
            "ix_job_closed", "submission_id", "state", "finished_at",
            postgresql_where=sql("state NOT IN ('queued', 'running')"),
            sqlite_where=sql("state NOT IN ('queued', 'running')"),
        ),
        # For people who look at what failed; few rows, so it costs no statement anything.
        Index(
            "ix_job_failed", "error_code", "id",
            postgresql_where=sql("state = 'failed'"),
            sqlite_where=sql("state = 'failed'"),
        ),
        NUMBERED_ONCE,
    )  # fmt: skip


class SubmissionJob(Base):
    """A conversation's place in a submission: the caller's own id, the position in the source, and its job."""

    __tablename__ = "submission_job"

    submission_id: Mapped[int] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(RowId)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    #: False for one place of each job, in the submission `Job.submission_id`. The account of a submission counts
    #: its own jobs from their index alone, and looks up only the jobs of its guests.
    is_guest: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())

    __table_args__ = (
        Index(
            "ix_submission_job_guest", "submission_id", "job_id",
            postgresql_where=sql("is_guest"), sqlite_where=sql("is_guest"),
        ),
        {"sqlite_with_rowid": False},
    )  # fmt: skip


class Summary(Base):
    """A summary and its provenance. Unique per (job, adapter)."""

    __tablename__ = "summary"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    #: Digest of the LoRA adapter; empty: the base model alone.
    adapter_digest: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    base_model: Mapped[str] = mapped_column(Text)
    quantization: Mapped[str] = mapped_column(String(32))
    compute_dtype: Mapped[str] = mapped_column(String(16))
    prompt_version: Mapped[str] = mapped_column(String(16))
    cleaner_version: Mapped[str] = mapped_column(String(16))
    #: Generation settings as JSON.
    generation: Mapped[str] = mapped_column(Text)
    num_prompt_tokens: Mapped[int] = mapped_column(Integer)
    num_completion_tokens: Mapped[int] = mapped_column(Integer)
    #: `stop`: the model ended by itself; `length`: it was cut at max_new_tokens.
    finish_reason: Mapped[str] = mapped_column(String(16))
    #: Share of the conversation's tokens that the model was given, 0 to 1.
    coverage: Mapped[float] = mapped_column(Float(53))
    duration_s: Mapped[float] = mapped_column(Float(53))
    worker: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[float] = mapped_column(Float(53))
    # -- the verdict and the fields; NULL where a summary is older than they are, or its profile has no fields
    #: Whether a person should read it before it is used.
    needs_review: Mapped[bool | None] = mapped_column(Boolean)
    #: A JSON list of codes.
    reasons: Mapped[str | None] = mapped_column(Text)
    #: Probability that something is wrong with it, 0 to 1.
    risk: Mapped[float | None] = mapped_column(Float(53))
    #: A JSON list with, for each sentence, the list of the turns that support it, numbered from 1.
    evidence: Mapped[str | None] = mapped_column(Text)
    issue: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(Text)
    follow_up: Mapped[str | None] = mapped_column(Text)
    resolution: Mapped[str | None] = mapped_column(String(40))
    #: Probability that the model gave the label, 0 to 1.
    resolution_p: Mapped[float | None] = mapped_column(Float(53))
    reason: Mapped[str | None] = mapped_column(String(40))
    reason_p: Mapped[float | None] = mapped_column(Float(53))
    #: Name of the profile that the model was asked by.
    profile: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (UniqueConstraint("job_id", "adapter_digest", name="uq_summary_job_adapter"),)


class Adapter(Base):
    """A LoRA adapter in the registry."""

    __tablename__ = "adapter"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    base_model: Mapped[str] = mapped_column(Text)
    #: `candidate`, `active` or `retired`; at most one is active for a base model.
    state: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    #: The folder's manifest as JSON.
    manifest: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    promoted_at: Mapped[float | None] = mapped_column(Float(53))

    __table_args__ = (
        Index(
            "uq_adapter_active", "base_model", unique=True,
            postgresql_where=sql("state = 'active'"), sqlite_where=sql("state = 'active'"),
        ),
    )  # fmt: skip


class Promotion(Base):
    """A change of the active adapter, written in the transaction that made it."""

    __tablename__ = "promotion"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    base_model: Mapped[str] = mapped_column(Text)
    #: What was done, such as `promote`; `training.registry.history` has all.
    action: Mapped[str] = mapped_column(String(16))
    #: Empty: no registered adapter is active any more.
    adapter_digest: Mapped[str | None] = mapped_column(String(64))
    #: What workers served before; empty: the base model alone.
    replaced_digest: Mapped[str | None] = mapped_column(String(64))
    is_forced: Mapped[bool] = mapped_column(Boolean)
    #: What the gate found, as JSON; empty where nothing was compared.
    report: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))


class Rollout(Base):
    """An adapter that serves, or shadows, a share of the conversations of a base model."""

    __tablename__ = "rollout"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    base_model: Mapped[str] = mapped_column(Text)
    #: `canary` or `shadow`.
    kind: Mapped[str] = mapped_column(String(16))
    adapter_digest: Mapped[str] = mapped_column(String(64))
    #: What was served when it began; empty: the base model alone.
    served_digest: Mapped[str] = mapped_column(String(64))
    #: Of the conversations, 0 to 1.
    share: Mapped[float] = mapped_column(Float(53))
    state: Mapped[str] = mapped_column(String(16))
    #: Why it ended.
    reason: Mapped[str | None] = mapped_column(Text)
    #: The newest summary when it began.
    after_summary_id: Mapped[int] = mapped_column(RowId)
    created_at: Mapped[float] = mapped_column(Float(53))
    #: When a worker last judged it.
    checked_at: Mapped[float] = mapped_column(Float(53))
    ended_at: Mapped[float | None] = mapped_column(Float(53))

    __table_args__ = (
        Index(
            "uq_rollout_running", "base_model", "kind", unique=True,
            postgresql_where=sql("state = 'running'"), sqlite_where=sql("state = 'running'"),
        ),
        NUMBERED_ONCE,
    )  # fmt: skip


class RolloutResult(Base):
    """What was written during a rollout without becoming a summary: a shadow's text, or a completion that failed."""

    __tablename__ = "rollout_result"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    #: Digest of the adapter that wrote it; empty: the base model alone.
    adapter_digest: Mapped[str] = mapped_column(String(64))
    #: Code of what was wrong with the completion; NULL: it passed its checks.
    failure: Mapped[str | None] = mapped_column(String(64))
    #: A shadow's summary.
    text: Mapped[str | None] = mapped_column(Text)
    needs_review: Mapped[bool | None] = mapped_column(Boolean)
    reasons: Mapped[str | None] = mapped_column(Text)
    finish_reason: Mapped[str | None] = mapped_column(String(16))
    num_completion_tokens: Mapped[int | None] = mapped_column(Integer)
    #: What a reviewer preferred who did not know which is which: `shadow`, `served` or `tie`.
    preferred: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Float(53))

    __table_args__ = (UniqueConstraint("rollout_id", "job_id", "adapter_digest", name="uq_rollout_result"),)


class Worker(Base):
    """A worker process that sends heartbeats. Its name is the lease owner of its jobs."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    #: Version of aftercall, of the messages it understands, and of the schema it was written for.
    version: Mapped[str] = mapped_column(String(32))
    message_version: Mapped[int] = mapped_column(Integer)
    schema_revision: Mapped[str] = mapped_column(String(32))
    base_model: Mapped[str] = mapped_column(Text)
    #: The adapter that it serves now; empty: the base model alone; NULL: it still loads its model.
    adapter_digest: Mapped[str | None] = mapped_column(String(64))
    #: How it holds the base model; empty while it loads the model, and for a worker of schema 0003.
    quantization: Mapped[str] = mapped_column(String(32), server_default="")
    compute_dtype: Mapped[str] = mapped_column(String(16), server_default="")
    #: The queue that it reads, as AFTERCALL_QUEUE names it.
    queue: Mapped[str] = mapped_column(String(255), server_default="")
    started_at: Mapped[float] = mapped_column(Float(53))
    seen_at: Mapped[float] = mapped_column(Float(53))


class Audit(Base):
    """Something that a person did to customers' conversations. Rows are only ever added."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    action: Mapped[str] = mapped_column(String(16))
    os_user: Mapped[str] = mapped_column(String(128))
    #: Not a foreign key: the row stays when the submission is purged.
    submission_id: Mapped[int | None] = mapped_column(BigInteger)
    #: Counts and digests as JSON.
    details: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))

    __table_args__ = (NUMBERED_ONCE,)


class ReviewRow(Base):
    """A summary that was drawn for people to review, as it was then."""

    __tablename__ = "review_row"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submission.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    adapter_digest: Mapped[str] = mapped_column(String(64))
    #: The summary's text. A redo by the same adapter replaces the summary itself.
    summary: Mapped[str] = mapped_column(Text)
    #: Drawn at random, whatever its verdict; the others are those with the highest risk.
    is_control: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Float(53))

    __table_args__ = (UniqueConstraint("submission_id", "job_id", name="uq_review_row_job"), NUMBERED_ONCE)


class Review(Base):
    """What one person found about a row; one review for each person and row."""

    __tablename__ = "review"

    row_id: Mapped[int] = mapped_column(ForeignKey("review_row.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: `approved`, `corrected` or `skipped`.
    decision: Mapped[str] = mapped_column(String(16))
    #: The whole summary as the reviewer wrote it; NULL unless corrected.
    corrected: Mapped[str | None] = mapped_column(Text)
    #: Why, as one of a short list; NULL if the reviewer gave none.
    reason: Mapped[str | None] = mapped_column(String(24))
    #: Share of words that the correction changed, 0 to 1; 0 where it was approved.
    edit_share: Mapped[float] = mapped_column(Float(53))
    created_at: Mapped[float] = mapped_column(Float(53))

    __table_args__ = ({"sqlite_with_rowid": False},)


class Webhook(Base):
    """A message to the webhook about the end of a submission."""

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: Not a foreign key: a purge does not wait for a receiver.
    submission_id: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(String(32))
    #: What is sent; NULL until the submission has ended.
    body: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    delivered_at: Mapped[float | None] = mapped_column(Float(53))
    #: Why the last attempt failed.
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))

    __table_args__ = (
        # One message waits for a submission's end, however often the source is submitted until then.
        Index(
            "uq_webhook_pending", "submission_id", unique=True,
            postgresql_where=sql("body IS NULL"), sqlite_where=sql("body IS NULL"),
        ),
        NUMBERED_ONCE,
    )  # fmt: skip


class Progress(Base):
    """How far the sending of each priority has come: the highest turn that was sent."""

    __tablename__ = "progress"

    #: A `Priority`.
    priority: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(BigInteger)


class Pause(Base):
    """While it has its row, nothing is sent and nothing is claimed."""

    __tablename__ = "pause"

    #: Always 1.
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(Text)
    os_user: Mapped[str] = mapped_column(String(128))
    paused_at: Mapped[float] = mapped_column(Float(53))
