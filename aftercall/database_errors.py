"""What a database's error means: whether it passes by itself, in which words to show it, and what to do about it."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError

from aftercall.masking import printable

#: SQLite's result codes that pass: another writer holds the lock, or disk and memory are short.
_TRANSIENT_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)

#: SQLSTATE classes that pass: connection exceptions, insufficient resources (also a full disk).
_TRANSIENT_CLASSES = frozenset({"08", "53"})

_TRANSIENT_STATES = frozenset(
    {
        "25006",  # read-only transaction: a failover is under way
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "40001",  # serialization failure
        "40003",  # statement completion unknown
        "40P01",  # deadlock detected
        "55P03",  # lock not available
        "57014",  # statement_timeout
        "57P01",  # server shutdown
        "57P02",  # server crash
        "57P03",  # server starting
        "57P05",  # idle_session_timeout
        "58030",  # input/output error
        "XX000",  # internal error: the state of file errors that have none of their own, such as an exceeded quota
    }
)

_AGAIN = "what was committed is safe, run the same command again."

_ADVICE_BY_CODE = {
    sqlite3.SQLITE_FULL: f"The disk is full. Make room; {_AGAIN}",
    sqlite3.SQLITE_READONLY: "The file or its folder is read-only for this user. Fix the rights, or set "
    "AFTERCALL_DATA_DIR to a folder that can be written.",
    sqlite3.SQLITE_CANTOPEN: "The file or its folder is missing or cannot be written by this user. Fix the rights, or "
    "set AFTERCALL_DATA_DIR to a folder that can be written.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged. Restore a backup.",
    sqlite3.SQLITE_NOTADB: "The file is not an SQLite database. Restore a backup, or correct AFTERCALL_DATABASE_URL.",
    sqlite3.SQLITE_BUSY: f"Another process holds its lock. Wait for it; {_AGAIN}",
}

_ADVICE_BY_STATE = {
    "25006": f"It is read-only, such as a standby. Name the primary in AFTERCALL_DATABASE_URL; {_AGAIN}",
    "42501": "Its user lacks a right. Grant it, or name another user in AFTERCALL_DATABASE_URL.",
    "42P01": "A table is missing. Run `aftercall db upgrade`, or restore a backup.",
    "53100": f"The server's disk is full. Make room there; {_AGAIN}",
    "53300": f"It has too many connections. Raise max_connections or run fewer workers; {_AGAIN}",
    "57014": f"A statement took too long. Look for a long transaction that holds a lock; {_AGAIN}",
}


def is_transient(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later: the connection, a lock or a resource was missing.

    False for an error that would come back every time, such as a missing table or a value out of range.
    """
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in _TRANSIENT_CODES
    state = _state(error)
    if state is None:
        # The driver's own error. Without a statement it comes from connecting: the server can't be reached.
        return error.statement is None and isinstance(error, OperationalError)
    return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES


def describe(error: DBAPIError) -> str:
    """What the database said, in one line. The following lines of a PostgreSQL error quote the row."""
    said = str(error.orig).strip() or type(error.orig).__name__
    return printable(said.splitlines()[0].rstrip("."))


def advise(error: DBAPIError) -> str:
    """What the user can do about an error."""
    if isinstance(error.orig, sqlite3.Error):
        advice = _ADVICE_BY_CODE.get(_sqlite_code(error.orig))
        if advice is None and "no such table" in str(error.orig):
            advice = _ADVICE_BY_STATE["42P01"]
    else:
        advice = _ADVICE_BY_STATE.get(_state(error) or "")
    return advice or f"Check that it runs and that AFTERCALL_DATABASE_URL is right; {_AGAIN}"


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code; the bits above it only say more about the circumstances. 0: none is known."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _state(error: DBAPIError) -> str | None:
    """PostgreSQL's SQLSTATE. None: the error is the driver's own."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
