"""The ledger: submissions, jobs, summaries, adapters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "adapter",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("promoted_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(
        "uq_adapter_active",
        "adapter",
        ["base_model"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )

    op.create_table(
        "job",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_key", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("cleaner_version", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Float(precision=53), nullable=True),
        sa.Column("visible_at", sa.Float(precision=53), nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_key", name="uq_job_key"),
    )
    op.create_index(
        "ix_job_lease",
        "job",
        ["visible_at"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_job_sent",
        "job",
        ["sent_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND sent_at IS NOT NULL"),
        sqlite_where=sa.text("state = 'queued' AND sent_at IS NOT NULL"),
    )
    op.create_index(
        "ix_job_unsent",
        "job",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND sent_at IS NULL"),
        sqlite_where=sa.text("state = 'queued' AND sent_at IS NULL"),
    )

    op.create_table(
        "submission",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.Column("num_rejected", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("read_at", sa.Float(precision=53), nullable=True),
        sa.Column("cancelled_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source_digest", name="uq_submission_source_digest"),
    )
    op.create_table(
        "submission_job",
        sa.Column("submission_id", ROW_ID, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("position", ROW_ID, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"]),
        sa.PrimaryKeyConstraint("submission_id", "external_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_submission_job_job_id", "submission_job", ["job_id"], unique=False)

    op.create_table(
        "summary",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("adapter_digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("quantization", sa.String(length=32), nullable=False),
        sa.Column("compute_dtype", sa.String(length=16), nullable=False),
        sa.Column("prompt_version", sa.String(length=16), nullable=False),
        sa.Column("cleaner_version", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("num_prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("num_completion_tokens", sa.Integer(), nullable=False),
        sa.Column("finish_reason", sa.String(length=16), nullable=False),
        sa.Column("coverage", sa.Float(precision=53), nullable=False),
        sa.Column("duration_s", sa.Float(precision=53), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "adapter_digest", name="uq_summary_job_adapter"),
    )


def downgrade() -> None:
    for table in ("summary", "submission_job", "submission", "job", "adapter"):
        op.drop_table(table)
