"""The floor of free disk: a submit stops before the disk is full, while the database can still finish its work."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from aftercall.errors import AftercallError
from aftercall.settings import Settings


class DiskFullError(AftercallError):
    """There is less free disk than AFTERCALL_MIN_FREE_BYTES."""


@dataclass(frozen=True, slots=True)
class DiskFloor:
    """Folders, and how much must stay free where they are."""

    folders: tuple[Path, ...]
    min_free_bytes: int

    def check(self) -> None:
        """Raises DiskFullError if too little is free. Takes a few microseconds."""
        if not self.min_free_bytes:
            return
        for folder in self.folders:
            num_free = shutil.disk_usage(folder).free
            if num_free < self.min_free_bytes:
                raise DiskFullError(
                    f"{folder}: {num_free:,} bytes of disk are free, and AFTERCALL_MIN_FREE_BYTES asks for "
                    f"{self.min_free_bytes:,}. Make room, or lower it; what was committed is kept, and the same "
                    "command goes on from there."
                )


#: For callers that look after the disk themselves.
NO_FLOOR = DiskFloor((), 0)


def disk_floor(settings: Settings) -> DiskFloor:
    """The floor where the data folder is, and the database if it is a SQLite file. A server's disk is not seen."""
    places = [settings.data_dir]
    if settings.ledger_url.startswith("sqlite:///"):
        places.append(Path(make_url(settings.ledger_url).database or ".").parent)
    return DiskFloor(tuple(dict.fromkeys(map(_existing, places))), settings.min_free_bytes)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
