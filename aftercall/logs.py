"""Logs of processes that run unattended: one line an event, as text or as JSON, to stderr or to a file.

A line has the event's name, ids and counts, and never the words of a conversation. Exceptions are told in one line as
well, by their types and places: the message of many quotes the value that it is about.
"""

import json
import logging
import os
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError

from aftercall.database_errors import describe
from aftercall.errors import AftercallError
from aftercall.files import open_appending
from aftercall.masking import printable
from aftercall.settings import Settings

#: Packages whose events are logged at the level that is set. A module that is started with `python -m` logs as
#: `__main__`.
_OURS = ("aftercall", "producer", "worker", "__main__")

#: Exceptions whose messages are about the machine. Those of others, such as KeyError, may quote a conversation.
_TELLING = (AftercallError, ImportError, MemoryError, OSError, RuntimeError)

_NUM_FRAMES = 3
_MAX_SAID = 300


class _State:
    """How this process logs; `handler` is None until it does."""

    handler: logging.Handler | None = None


_state = _State()


def event(name: str, **fields: Any) -> dict[str, Any]:
    """The `extra` of a log call: the event's name and its fields, which the message says in words."""
    return {"event": name, "fields": fields}


class EventFormatter(logging.Formatter):
    """Makes a line of a record."""

    def __init__(self, form: Literal["text", "json"], process: str) -> None:
        super().__init__()
        self._form = form
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever a file name or a message from the queue holds."""
        time = datetime.fromtimestamp(record.created, UTC)
        said = record.getMessage()
        failed = _tell_exception(record.exc_info[1]) if record.exc_info and record.exc_info[1] else None
        if self._form == "text":
            line = f"{said}: {failed}" if failed else said
            return f"{time:%Y-%m-%dT%H:%M:%SZ} {self._process} {record.levelname} {printable(line)}"
        content: dict[str, Any] = {
            "time": f"{time:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "worker": self._process,
            "message": said,
        }
        content |= getattr(record, "fields", {})
        return json.dumps(content | ({"exception": failed} if failed else {}), default=str)


class FollowedFileHandler(WatchedFileHandler):
    """Writes to a private file, opens it anew when it was renamed, and takes stdout and stderr along.

    Crashes of libraries and warnings of Python's own are then in the file too, and only one process has to rotate it.
    """

    def _open(self) -> TextIOWrapper:
        file = open_appending(Path(self.baseFilename))
        for standard in (1, 2):
            os.dup2(file.fileno(), standard)
        return file


def start_logging(settings: Settings, process: str) -> None:
    """Log the events of this process as the settings say; `process` is its name in every line."""
    handler: logging.Handler = logging.StreamHandler()
    if settings.log_file:
        handler = FollowedFileHandler(settings.log_file)
    handler.setFormatter(EventFormatter(settings.log, process))
    _state.handler = handler
    # Python's own warnings otherwise take two lines on stderr.
    logging.captureWarnings(True)
    # Libraries stay quiet: Celery logs two lines for each chunk, and at a lower level whole messages.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Celery sets its own level on every logger that has none.
    for package in ("celery", "alembic"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for package in _OURS:
        logging.getLogger(package).setLevel(settings.log_level.upper())


def say_now(message: str, **fields: Any) -> None:
    """Log from a signal handler, which may have interrupted a line that is being written.

    The line goes out in one call, so that lines of other processes don't end up inside it.
    """
    record = logging.LogRecord("aftercall", logging.WARNING, "", 0, message, (), None)
    record.__dict__.update(event(fields.pop("name", "log"), **fields))
    line = _state.handler.format(record) if _state.handler else f"aftercall: {message}"
    # Not `sys.stderr`, which Celery replaces.
    os.write(2, f"{line}\n".encode())


def rotate(path: Path, max_bytes: int, num_kept: int = 4) -> bool:
    """Rename a log that has grown to `max_bytes`, and older ones with it. True if it was renamed.

    Processes that write to it by `FollowedFileHandler` go on in a new file. Only one process may rotate a log.
    """
    if not path.exists() or path.stat().st_size < max_bytes:
        return False
    for number in range(num_kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
    return True


def _tell_exception(error: BaseException) -> str:
    """Type, message where it is harmless, and the innermost places of an exception and of what caused it."""
    places = " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in reversed(extract_tb(error.__traceback__)[-_NUM_FRAMES:])
    )
    told = f"{type(error).__name__}{_say(error)}" + (f" at {places}" if places else "")
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{told}; after {_tell_exception(cause)}" if cause else told


def _say(error: BaseException) -> str:
    # In this order: SQLAlchemy's are of no other kind, and quote statement and row.
    if isinstance(error, DBAPIError):
        return f" ({describe(error)})"
    said = (str(error).splitlines() or [""])[0][:_MAX_SAID]
    return f" ({said})" if said and isinstance(error, _TELLING) else ""
