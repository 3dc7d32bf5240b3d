"""Which of the files that a command names are sources, and where the rejected rows of each go.

Knows names alone: opens no file.
"""

import os
import re
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path

from producer.source import OwnFileError, readable

_SUFFIX = ".rejected.csv"

#: What an older file of rejected rows has behind its name.
_OLDER = re.compile(r"~\d*$")


def rejected_path(source: str) -> Path:
    """Where the rejected rows of a source go: beside it, or here if it is no file or its folder takes none."""
    beside = _beside(source)
    is_file = source == "-" or os.path.isfile(source)  # noqa: PTH113 - raises nothing, whatever may not be looked at
    return beside if is_file and os.access(beside.parent, os.W_OK) else Path(beside.name)


def rejected_paths(sources: Sequence[str]) -> Mapping[str, Path]:
    """Where the rejected rows of each of several sources go: here too, each to a file of its own."""
    owners: dict[Path, Path] = {}
    return {source: _own(rejected_path(source), Path(source).absolute(), owners) for source in sources}


def refuse_leftover(source: str, sources: Sequence[str], paths: Mapping[str, Path]) -> None:
    """Make sure that a source holds no rejected rows of another of the `sources`, for which they go to `paths`.

    Raises OwnFileError if it does.
    """
    path = Path(_OLDER.sub("", source)).absolute()
    if any(path in (_beside(other).absolute(), paths[other].absolute()) for other in sources):
        raise OwnFileError(
            f"{readable(source)}: these are rows of another source here that were rejected. Once they are corrected, "
            "submit this file alone."
        )


def _beside(source: str) -> Path:
    return Path(f"stdin{_SUFFIX}" if source == "-" else f"{source}{_SUFFIX}")


def _own(path: Path, source: Path, owners: dict[Path, Path]) -> Path:
    """The path, with a number in it if it is that of another source already."""
    stem = path.name.removesuffix(_SUFFIX)
    numbered = (path.with_name(f"{stem}.{number}{_SUFFIX}") for number in count(2))
    return next(each for each in chain([path], numbered) if owners.setdefault(each.absolute(), source) == source)
