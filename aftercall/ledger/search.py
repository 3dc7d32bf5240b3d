"""The full-text index over conversations and summaries: optional, because writing costs more with it.

Once it is built, the database itself keeps it in step, so no writer can forget it: by triggers on SQLite (FTS5 tables
that hold no second copy of the texts), by index expressions on PostgreSQL (GIN). A migration that makes `job` or
`summary` anew on SQLite drops the triggers; `build` afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, text

from aftercall.database import reading


class Scope(StrEnum):
    """What is searched: the table with the texts."""

    SUMMARIES = "summary"
    CONVERSATIONS = "job"


@dataclass(frozen=True, slots=True)
class Match:
    """A job with the words, and the key of its row in the table that was searched."""

    key: int
    job_id: int


#: Rows that are indexed in one transaction; other writers wait no longer than for a batch of a submit.
BATCH: Final = 1_000

#: What PostgreSQL indexes of a text, in characters. The index of a longer one can exceed its limit of a megabyte, and
#: then the text could not be stored at all.
_MAX_CHARS: Final = 100_000

#: Pages of the index that one transaction merges, while words are being removed for good.
_MERGE_PAGES: Final = 500

#: How long PostgreSQL may search.
_TIMEOUT_MS: Final = 10_000


def is_built(engine: Engine) -> bool:
    """Whether every conversation and summary is in the index."""
    with reading(engine) as connection:
        return all(_is_built(connection, scope) for scope in Scope)


def build(engine: Engine, on_progress: Callable[[Scope, int], object] = lambda scope, num_rows: None) -> None:
    """Build the index, or the rest of it, while others write. From then on the database keeps it.

    Args:
        on_progress: called with the number of rows indexed in one transaction.
    """
    if engine.dialect.name == "postgresql":
        _build_gin(engine)
        return
    for scope in Scope:
        with engine.begin() as connection:
            for statement in _FTS5_CREATE:
                connection.exec_driver_sql(statement.format(table=scope))
        while num_rows := _index_some(engine, scope):
            on_progress(scope, num_rows)


def drop(engine: Engine) -> None:
    """Remove the index; search by words then needs `build` again."""
    with engine.begin() as connection:
        for scope in Scope:
            for statement in _DROP[engine.dialect.name]:
                connection.exec_driver_sql(statement.format(table=scope))


def find(engine: Engine, words: str, scope: Scope, before: int | None, max_rows: int) -> list[Match]:
    """Rows that have all of these words, in any order, newest first; only rows with a smaller key than `before`.

    Words in double quotes must follow each other. The index must be built.
    """
    wanted = _quote(words)
    if not wanted:
        return []
    job_id = "id" if scope == Scope.CONVERSATIONS else "job_id"
    statement = _FIND[engine.dialect.name].format(table=scope, job_id=job_id, vector=_VECTOR)
    values = {"words": wanted, "before": before if before is not None else 1 << 62, "max_rows": max_rows}
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}")
        return [Match(*row) for row in connection.execute(text(statement), values)]


def scrub(engine: Engine) -> None:
    """Remove deleted words from SQLite's index for good: until then they stay in the file, marked as deleted.

    Rewrites the index in short transactions. PostgreSQL removes them when it vacuums the table.
    """
    if engine.dialect.name != "sqlite":
        return
    for scope in Scope:
        num_pages = -_MERGE_PAGES
        while _merge(engine, scope, num_pages):
            num_pages = _MERGE_PAGES


def _is_built(connection: Connection, scope: Scope) -> bool:
    query = text(_IS_BUILT[connection.dialect.name].format(table=scope))
    return connection.execute(query).first() is not None


def _build_gin(engine: Engine) -> None:
    # CONCURRENTLY lets others write meanwhile, and runs in no transaction.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for scope in Scope:
            if not _is_built(connection, scope):
                # What an interrupted build left is not valid.
                connection.exec_driver_sql(f"DROP INDEX IF EXISTS ix_{scope}_words")
                connection.exec_driver_sql(
                    f"CREATE INDEX CONCURRENTLY ix_{scope}_words ON {scope} USING gin ({_VECTOR})"
                )


def _index_some(engine: Engine, scope: Scope) -> int:
    """Index the next rows; returns how many. After the last ones, the trigger that indexes new rows is created."""
    with engine.begin() as connection:
        if _is_built(connection, scope):
            return 0
        # Rows are numbered in the order in which they are committed, since SQLite has one writer at a time.
        num_rows = connection.exec_driver_sql(_FTS5_INDEX.format(table=scope, batch=BATCH)).rowcount
        if num_rows < BATCH:
            connection.exec_driver_sql(_FTS5_KEEP.format(table=scope))
        return num_rows


def _merge(engine: Engine, scope: Scope, num_pages: int) -> bool:
    """Merge parts of the index; whether something was left to merge."""
    with engine.begin() as connection:
        if not connection.exec_driver_sql(_HAS_FTS5.format(table=scope)).first():
            return False
        # Otherwise SQLite only marks the pages as free, and the words stay readable in the file.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
        before = _num_changes(connection)
        connection.exec_driver_sql(_FTS5_MERGE.format(table=scope, num_pages=num_pages))
        # By FTS5's documentation: fewer than two changes are no merge.
        return _num_changes(connection) - before >= 2


def _num_changes(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


def _quote(words: str) -> str:
    """Each word or phrase in double quotes, which both databases take literally and look for together."""
    parts = words.split('"')
    found: list[str] = []
    for number, part in enumerate(parts):
        # What stands between two quotation marks is a phrase; an unpaired one counts for nothing.
        is_phrase = number % 2 == 1 and number < len(parts) - 1
        found += [part] if is_phrase else part.split()
    return " ".join(f'"{each}"' for each in found if any(map(str.isalnum, each)))


_VECTOR: Final = f"to_tsvector('simple', left(text, {_MAX_CHARS}))"

_FTS5_CREATE: Final = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS {table}_words USING fts5 (
        text, content = '{table}', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2')""",
    # FTS5 must not be told to delete what it never held; its table of sizes has a row for each text that it holds.
    """CREATE TRIGGER IF NOT EXISTS {table}_words_delete AFTER DELETE ON {table}
        WHEN EXISTS (SELECT 1 FROM {table}_words_docsize WHERE id = old.id)
        BEGIN INSERT INTO {table}_words ({table}_words, rowid, text) VALUES ('delete', old.id, old.text); END""",
)
_FTS5_INDEX: Final = """INSERT INTO {table}_words (rowid, text)
    SELECT id, text FROM {table} WHERE id > coalesce((SELECT max(id) FROM {table}_words_docsize), 0)
    ORDER BY id LIMIT {batch}"""
_FTS5_MERGE: Final = "INSERT INTO {table}_words ({table}_words, rank) VALUES ('merge', {num_pages})"
#: Texts are never changed, so no trigger is needed for that.
_FTS5_KEEP: Final = """CREATE TRIGGER {table}_words_insert AFTER INSERT ON {table}
    BEGIN INSERT INTO {table}_words (rowid, text) VALUES (new.id, new.text); END"""

_DROP: Final = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS {table}_words_insert",
        "DROP TRIGGER IF EXISTS {table}_words_delete",
        "DROP TABLE IF EXISTS {table}_words",
    ),
    "postgresql": ("DROP INDEX IF EXISTS ix_{table}_words",),
}
#: Of an index that is not built to its end too.
_HAS_FTS5: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{table}_words'"
_IS_BUILT: Final = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = '{table}_words_insert'",
    "postgresql": """SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relname = 'ix_{table}_words' AND indisvalid AND pg_table_is_visible(indexrelid)""",
}
_FIND: Final = {
    "sqlite": """SELECT {table}.id, {table}.{job_id} FROM {table}_words JOIN {table} ON {table}.id = {table}_words.rowid
        WHERE {table}_words MATCH :words AND {table}_words.rowid < :before
        ORDER BY {table}_words.rowid DESC LIMIT :max_rows""",
    "postgresql": """SELECT id, {job_id} FROM {table}
        WHERE {vector} @@ websearch_to_tsquery('simple', :words) AND id < :before ORDER BY id DESC LIMIT :max_rows""",
}
