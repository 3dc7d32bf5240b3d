"""Adapters chosen for a submission, and adapters that serve or shadow a share of the conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("job", sa.Column("adapter_digest", sa.String(64), nullable=True))
    _create_rollout()
    _create_rollout_result()


def _create_rollout() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("adapter_digest", sa.String(64), nullable=False),
        sa.Column("served_digest", sa.String(64), nullable=False),
        sa.Column("share", sa.Float(53), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("after_summary_id", _ROW_ID, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("checked_at", sa.Float(53), nullable=False),
        sa.Column("ended_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    running = sa.text("state = 'running'")
    op.create_index(
        "uq_rollout_running", "rollout", ["base_model", "kind"], unique=True,
        postgresql_where=running, sqlite_where=running,
    )  # fmt: skip


def _create_rollout_result() -> None:
    op.create_table(
        "rollout_result",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("rollout_id", _ROW_ID, nullable=False),
        sa.Column("job_id", _ROW_ID, nullable=False),
        sa.Column("adapter_digest", sa.String(64), nullable=False),
        sa.Column("failure", sa.String(64), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("needs_review", sa.Boolean(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.String(16), nullable=True),
        sa.Column("num_completion_tokens", sa.Integer(), nullable=True),
        sa.Column("preferred", sa.String(16), nullable=True),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"]),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rollout_id", "job_id", "adapter_digest", name="uq_rollout_result"),
    )
    op.create_index("ix_rollout_result_job_id", "rollout_result", ["job_id"])


def downgrade() -> None:
    op.drop_table("rollout_result")
    op.drop_table("rollout")
    op.drop_column("job", "adapter_digest")
