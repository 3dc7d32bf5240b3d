"""Errors that a person can fix.

Each is shown as one message without a traceback: what was expected and what to do next. Each class has its own exit
code (docs/operations.md has the table; a test compares them).
"""

import errno
from typing import ClassVar


class AftercallError(Exception):
    """Base of all errors that are shown to the user as a message."""

    exit_code: ClassVar[int] = 1


class SourceError(AftercallError):
    """A source as a whole can't be read: it is missing, empty or binary, or its header or encoding is unknown."""

    exit_code = 3


class SettingsError(AftercallError):
    """A setting is unknown or has an unusable value."""

    exit_code = 5


class BrokerError(AftercallError):
    """Redis can't be reached, or is configured so that it would lose the queue."""

    exit_code = 6


class DatabaseError(AftercallError):
    """The database can't be reached or refuses a statement."""

    exit_code = 7


class SchemaError(DatabaseError):
    """The database's schema is not the one that this version works with. Waiting does not help."""

    exit_code = 12


class AdapterError(AftercallError):
    """An adapter does not fit: another base model, another prompt version, or files that fail their digest."""

    exit_code = 8


class ModelError(AftercallError):
    """The base model can't be loaded, or not on the requested device."""

    exit_code = 9


class NotFoundError(AftercallError):
    """The ledger has no such submission, or there is no ledger."""

    exit_code = 11


class AlreadyRunningError(AftercallError):
    """Another `aftercall run` works in the same data folder."""

    exit_code = 14


class NotReadyError(AftercallError):
    """Another night holds the lock, or an export or a purge must wait until a submission has ended."""

    exit_code = 16


def explain_file(error: OSError) -> AftercallError:
    """The message for a file that can't be read or written: which one, what the system said, what to do."""
    where = f"{error.filename}: " if error.filename else ""
    return AftercallError(
        f"{where}{error.strerror}. {_advise(error)} What was committed is kept; run the same command again."
    )


def _advise(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on that disk."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "Fix the rights, or name a folder that can be written (AFTERCALL_DATA_DIR for aftercall's own)."
    return "Check the path, its rights and the room on disk."


#: The work is finished, but some rows of the source were rejected. They are in the rejected file.
EXIT_SOME_REJECTED = 4
#: The work is finished, but some jobs failed for good.
EXIT_SOME_FAILED = 10
#: `aftercall doctor` found an error.
EXIT_NOT_WELL = 13
#: The timeout or the deadline came before the end of the work, which goes on.
EXIT_TIME_UP = 15
#: Ctrl-C: stopped cleanly. The same command continues where it stopped.
EXIT_INTERRUPTED = 130
#: `aftercall refresh`: the gate kept what is served; there was too little data; a step failed.
EXIT_KEPT = 20
EXIT_NOT_ENOUGH_DATA = 21
EXIT_REFRESH_FAILED = 22
