"""What each worker serves besides its base model and adapter, and which queue it reads.

Workers of one queue that serve different things write different summaries for the same conversation; `doctor` compares
them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
    ("queue", sa.String(length=255)),
    ("quantization", sa.String(length=32)),
    ("compute_dtype", sa.String(length=16)),
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        # Empty for a row of an older worker; the upgrade is refused while such a worker is alive.
        op.add_column("worker", sa.Column(name, kind, nullable=False, server_default=""))


def downgrade() -> None:
    for name, _ in reversed(COLUMNS):
        op.drop_column("worker", name)
