"""What can go wrong in a way that a person can mend.

Every error here is shown as one message without a traceback; the message says what was expected and
what to do next. Each class has an exit code of its own (docs/operations.md has the table; a test compares them).
"""

from typing import ClassVar


class AftercallError(Exception):
    """Base of all errors that are shown to the user as a sentence."""

    exit_code: ClassVar[int] = 1


class SourceError(AftercallError):
    """A source as a whole cannot be read: missing, empty, binary, of unknown header or encoding."""

    exit_code = 3


class SettingsError(AftercallError):
    """A setting is unknown or has a value that cannot be used."""

    exit_code = 5


class BrokerError(AftercallError):
    """Redis cannot be reached, or is set up so that it would lose the queue."""

    exit_code = 6


class DatabaseError(AftercallError):
    """The database cannot be reached."""

    exit_code = 7


class SchemaError(DatabaseError):
    """The database's schema is not the one that this version works with; waiting does not mend that."""

    exit_code = 12


class AdapterError(AftercallError):
    """An adapter does not fit: another base model, another prompt version, or files that fail their digest."""

    exit_code = 8


class ModelError(AftercallError):
    """The base model cannot be loaded, or not on the device asked for."""

    exit_code = 9


class NotFoundError(AftercallError):
    """The submission asked for is not in the ledger."""

    exit_code = 11


def explain_file(error: OSError) -> AftercallError:
    """The sentence for a file that cannot be read or written: which one, what the system said, what to do."""
    where = f"{error.filename}: " if error.filename else ""
    return AftercallError(
        f"{where}{error.strerror}. Check the path, its rights and the room on disk; what was committed is kept, run "
        "the same command again."
    )


#: The work is finished, but some rows of the source were rejected (they stand in the rejected file).
EXIT_SOME_REJECTED = 4
#: The work is finished, but some jobs failed for good.
EXIT_SOME_FAILED = 10
#: `aftercall doctor` found something that keeps conversations from being done, or a broken promise.
EXIT_NOT_WELL = 13
#: Ctrl-C: stopped cleanly, the same command goes on where it stopped.
EXIT_INTERRUPTED = 130
