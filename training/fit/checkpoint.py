"""A run's folder: the options it was started with, and the checkpoints that it can resume from."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from aftercall.errors import AdapterError
from training.data.dataset import digest_examples
from training.data.splits import Splits
from training.files import write_artifact
from training.fit.recipe import Recipe

#: Everything that determines a run's numbers, written before its first step.
RUN_FILE = "run.json"
#: The trainer writes this file last: a checkpoint without it is incomplete.
_STATE_FILE = "trainer_state.json"
#: torch raises a bare RuntimeError for a file that it cannot write; this word in it identifies the cause.
_TORCH_WRITER = "inline_container"


def begin_run(folder: Path, recipe: Recipe, splits: Splits, num_processes: int) -> None:
    """Record what a run is started with; AdapterError if its folder cannot be written."""
    write_artifact(folder / RUN_FILE, _describe(recipe, splits, num_processes))


def check_run(folder: Path, recipe: Recipe, splits: Splits, num_processes: int) -> None:
    """Raises AdapterError if a run cannot be resumed, or was started with other options or data."""
    find_checkpoint(folder)
    began = _read(folder / RUN_FILE)
    asked: dict[str, Any] = json.loads(_describe(recipe, splits, num_processes))
    changes = [f"{name} {began.get(name)}, not {value}" for name, value in asked.items() if began.get(name) != value]
    if changes:
        raise AdapterError(
            f"{folder} was started with {'; '.join(changes)}. Resume it with the same options and data, or train "
            "without --resume."
        )


def has_checkpoint(folder: Path) -> bool:
    """Whether a run left a checkpoint to resume from."""
    return bool(_find_whole(folder))


def find_checkpoint(folder: Path) -> Path:
    """The last checkpoint in a run's folder; AdapterError if there is none."""
    checkpoints = _find_whole(folder)
    if not checkpoints:
        raise AdapterError(f"{folder} has no checkpoint to resume from; train without --resume")
    return checkpoints[-1]


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk or of missing permissions into an AdapterError that tells the next step."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        is_cut_short = _TORCH_WRITER in str(error)
        if isinstance(error, RuntimeError) and not is_cut_short:
            raise
        said = "a file was truncated" if is_cut_short else error
        raise AdapterError(
            f"the run cannot be saved in {folder}: {said}. Free some space or fix the permissions; --resume continues "
            "from the last checkpoint."
        ) from error


def _describe(recipe: Recipe, splits: Splits, num_processes: int) -> bytes:
    values = asdict(recipe)
    # Where losses are reported does not change them.
    values.pop("report_to")
    document = {
        **values,
        "training data": digest_examples(splits.train)[:16],
        "held-out data": digest_examples(splits.validation)[:16],
        "GPUs": num_processes,
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError) as error:
        raise AdapterError(
            f"{path} does not say what the run was started with ({error}); train without --resume"
        ) from error


def _find_whole(folder: Path) -> list[Path]:
    """The complete checkpoints in a run's folder, oldest first; a full disk or a kill may leave incomplete ones."""
    checkpoints = [path.parent for path in folder.glob(f"checkpoint-*/{_STATE_FILE}") if _is_json(path)]
    return sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]))


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
