"""The bar of `aftercall run`: how far a submission is, how fast it goes, and when it will be done.

Knows accounts; knows no database, and of the worker only where it converts a model.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from aftercall.ledger.account import Account
from aftercall.settings import Settings
from producer.show import console


@contextmanager
def showing_progress(first: Account, settings: Settings) -> Iterator[Callable[[Account, bool], None]]:
    """A bar that begins at an account; yields what to call with each later one, and whether the ledger is paused."""
    with _make_bar() as bar:
        yield _Work(bar, first, settings.data_dir / "models").show


class _Work:
    """A submission that is worked on."""

    def __init__(self, bar: Progress, first: Account, models_dir: Path) -> None:
        self._bar = bar
        self._models_dir = models_dir
        self._first_finished = first.finished
        self._working_since = time.monotonic()
        self._task = bar.add_task("loading the model", total=first.submitted, completed=first.finished, rate="")

    def show(self, standing: Account, is_paused: bool) -> None:
        """Where it stands now. Until a conversation runs, the model is loading, and the clock of the rate waits."""
        if is_paused and standing.open:
            self._bar.update(self._task, description="paused", completed=standing.finished, rate="")
            return
        if standing.open and not standing.running and standing.finished == self._first_finished:
            self._working_since = time.monotonic()
            self._bar.update(self._task, description=self._preparing())
            return
        num_new = standing.finished - self._first_finished
        rate = _rate(num_new, standing.open, time.monotonic() - self._working_since)
        description = "summarizing" if standing.open else "summarized"
        self._bar.update(self._task, description=description, completed=standing.finished, rate=rate)

    def _preparing(self) -> str:
        is_converting = any(self._models_dir.glob("*.partial"))
        return "converting the model, once" if is_converting else "loading the model"


def _make_bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _rate(num_new: int, num_open: int, elapsed_s: float) -> str:
    """Conversations a second so far, and when the last one will be done at that rate."""
    if num_new == 0 or elapsed_s <= 0:
        return ""
    rate = num_new / elapsed_s
    finish = time.strftime("%H:%M:%S", time.localtime(time.time() + num_open / rate))
    return f"{rate:.2f}/s, done at {finish}" if num_open else f"{rate:.2f}/s"
