"""Reviews: summaries drawn for people, and what each person found. An index for the jobs that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "review_row",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("submission_id", ROW_ID, sa.ForeignKey("submission.id"), nullable=False),
        sa.Column("job_id", ROW_ID, sa.ForeignKey("job.id"), nullable=False),
        sa.Column("adapter_digest", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("is_control", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("submission_id", "job_id", name="uq_review_row_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_review_row_job_id", "review_row", ["job_id"])
    op.create_table(
        "review",
        sa.Column("row_id", ROW_ID, sa.ForeignKey("review_row.id"), nullable=False),
        sa.Column("reviewer", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("corrected", sa.Text(), nullable=True),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("edit_share", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("row_id", "reviewer"),
        sqlite_with_rowid=False,
    )
    is_failed = sa.text("state = 'failed'")
    op.create_index("ix_job_failed", "job", ["error_code", "id"], postgresql_where=is_failed, sqlite_where=is_failed)


def downgrade() -> None:
    op.drop_index("ix_job_failed", "job")
    op.drop_table("review")
    op.drop_table("review_row")
