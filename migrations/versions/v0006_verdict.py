"""Each summary's verdict and fields. Summaries from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS: tuple[tuple[str, type[sa.types.TypeEngine] | sa.types.TypeEngine], ...] = (  # type: ignore[type-arg]
    ("needs_review", sa.Boolean),
    ("reasons", sa.Text),
    ("risk", sa.Float(53)),
    ("evidence", sa.Text),
    ("issue", sa.Text),
    ("action", sa.Text),
    ("follow_up", sa.Text),
    ("resolution", sa.String(40)),
    ("resolution_p", sa.Float(53)),
    ("reason", sa.String(40)),
    ("reason_p", sa.Float(53)),
    ("profile", sa.String(64)),
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("summary", sa.Column(name, kind, nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        # Ids of users' own profiles are longer than the versions before them. SQLite has no limit.
        op.alter_column("summary", "prompt_version", type_=sa.String(64), existing_type=sa.String(16))


def downgrade() -> None:
    for name, _ in COLUMNS[::-1]:
        op.drop_column("summary", name)
