"""On SQLite, numbers of submissions and jobs are given once, also after the newest of them was purged.

SQLite gives this property to new tables only, so these two are copied, and with them the two that refer to them: a
table that is referred to cannot be dropped. PostgreSQL's sequences never go back.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: Those that are referred to first.
TABLES = ("submission", "job", "submission_job", "summary")

ONCE = ("PRIMARY KEY (id)", "PRIMARY KEY (id AUTOINCREMENT)")


def upgrade() -> None:
    _copy({"submission": ONCE, "job": ONCE})


def downgrade() -> None:
    _copy({"submission": ONCE[::-1], "job": ONCE[::-1]})


def _copy(changes: dict[str, tuple[str, str]]) -> None:
    """Copy the tables into new ones, in whose definitions one part is changed for another."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    found = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master").all()
    definitions = {name: sql for kind, name, _, sql in found if kind == "table"}
    others = [sql for kind, _, table, sql in found if kind in ("index", "trigger") and table in TABLES and sql]
    # Otherwise the views that people made would follow the old tables, and stay broken when those are dropped.
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        for name in TABLES:
            connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO old_{name}")
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
    for name in TABLES:
        connection.exec_driver_sql(definitions[name].replace(*changes.get(name, ("", ""))))
        connection.exec_driver_sql(f"INSERT INTO {name} SELECT * FROM old_{name}")  # noqa: S608 - of the list above
    for name in reversed(TABLES):
        connection.exec_driver_sql(f"DROP TABLE old_{name}")
    for sql in others:
        connection.exec_driver_sql(sql)
