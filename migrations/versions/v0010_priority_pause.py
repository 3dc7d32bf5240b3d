"""Priority, fairness, the pause, and accounts that are counted from indexes alone.

What waits at the upgrade has the first turn and is sent first, in its old order.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEW_COLUMNS: dict[str, tuple[tuple[str, TypeEngine[Any], str], ...]] = {
    "submission": (("priority", sa.Integer(), "1"), ("next_turn", sa.BigInteger(), "0")),
    "job": (("submission_id", sa.BigInteger(), "0"), ("priority", sa.Integer(), "1"), ("turn", sa.BigInteger(), "0")),
    "submission_job": (("is_guest", sa.Boolean(), "false"),),
}

UNSENT = "state = 'queued' AND sent_at IS NULL"
SENT = "state = 'queued' AND sent_at IS NOT NULL"
RUNNING = "state = 'running'"
CLOSED = "state NOT IN ('queued', 'running')"

#: By name: the columns before, the columns now, and the rows that it contains.
INDEXES: dict[str, tuple[list[str], list[str], str]] = {
    "ix_job_unsent": (["id"], ["priority", "turn", "submission_id", "id"], UNSENT),
    "ix_job_sent": (["sent_at"], ["sent_at", "priority", "submission_id"], SENT),
    "ix_job_lease": (["visible_at"], ["visible_at", "submission_id"], RUNNING),
    "ix_job_closed": ([], ["submission_id", "state", "finished_at"], CLOSED),
}

HOME = "UPDATE job SET submission_id = (SELECT min(submission_id) FROM submission_job WHERE job_id = job.id)"
IS_HELD = "EXISTS (SELECT 1 FROM submission_job WHERE job_id = job.id)"

#: Every place of a job but its first.
GUESTS = """
UPDATE submission_job SET is_guest = true WHERE EXISTS (
    SELECT 1 FROM submission_job AS other WHERE other.job_id = submission_job.job_id
    AND (other.submission_id, other.external_id) < (submission_job.submission_id, submission_job.external_id))
"""


def upgrade() -> None:
    for table, columns in NEW_COLUMNS.items():
        for name, kind, default in columns:
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
    op.execute(f"{HOME} WHERE {IS_HELD}")
    op.execute(GUESTS)
    for name, (before, now, rows) in INDEXES.items():
        if before:
            op.drop_index(name, "job")
        _create_index(name, "job", now, rows)
    _create_index("ix_submission_job_guest", "submission_job", ["submission_id", "job_id"], "is_guest")
    op.create_table(
        "progress",
        sa.Column("priority", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("priority"),
    )
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("os_user", sa.String(length=128), nullable=False),
        sa.Column("paused_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    for table in ("pause", "progress"):
        op.drop_table(table)
    op.drop_index("ix_submission_job_guest", "submission_job")
    for name, (before, _, rows) in INDEXES.items():
        op.drop_index(name, "job")
        if before:
            _create_index(name, "job", before, rows)
    for table, added in NEW_COLUMNS.items():
        for column, _, _ in added[::-1]:
            op.drop_column(table, column)


def _create_index(name: str, table: str, columns: list[str], rows: str) -> None:
    where = sa.text(rows)
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)
