"""How a submission's source was read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submission", sa.Column("reading", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("submission", "reading")
