"""`aftercall refresh`: weeks of reviews on a tiny model, each with its outcome, exit code and report."""

import csv
import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.command import Answer
from tests.integration.test_review import edit, read, submit_thirty
from tests.unit.training.learner import MAX_NEW_TOKENS, RECIPE, SUMMARY, save_base, write_split
from training.context import find_served, open_context
from training.data.review import Draw, export_review
from training.fit.stopwatch import Stopwatch

Call = Callable[..., Answer]
OPTIONS = ("--base", RECIPE.base, "--batch-size", "4", "--learning-rate", "2e-2", "--quantization", "none")
GARBAGE = "zzz zzz zzz zzz"


@pytest.fixture
def home(aftercall: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an installation with a tiny base model, thirty summaries and labelled data."""
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("AFTERCALL_BASE_MODEL", RECIPE.base)
    monkeypatch.setenv("AFTERCALL_MAX_NEW_TOKENS", str(MAX_NEW_TOKENS))
    save_base(tmp_path)
    write_split(tmp_path / "labelled")
    with open_context() as context:
        submit_thirty(context.database)
    return tmp_path / "home"


def write_review(path: Path, corrected: str, num_corrected: int = 30) -> Path:
    """A review in which summaries were corrected to the same text."""
    with open_context() as context:
        export_review(context.database, 1, path, Draw(30))
    edit(path, {row["id"]: corrected for row in read(path)[:num_corrected]})
    return path


def refresh(aftercall: Call, *args: object, steps: int = 40) -> Answer:
    return aftercall("refresh", *map(str, args), *OPTIONS, "--max-steps", str(steps))


def served() -> str:
    with open_context() as context:
        return find_served(context, RECIPE.base).digest


def read_report(answer: Answer) -> tuple[str, dict[str, Any]]:
    path = Path(answer.output.splitlines()[-1].removeprefix("report: "))
    return path.read_text(), json.loads(path.with_suffix(".json").read_text())


def test_weeks_of_reviews_promote_what_is_better_and_keep_garbage_out(
    aftercall: Call, home: Path, tmp_path: Path
) -> None:
    good = write_review(tmp_path / "week1.csv", f"{SUMMARY[:-1]} now.", num_corrected=4)
    first = refresh(aftercall, "--from-review", good, "--data", "labelled")
    assert first.exit_code == 0, first.output
    assert "promoted: the gate let it pass" in first.output
    adapter = served()
    markdown, report = read_report(first)
    assert (report["outcome"], report["num_held_out"], report["candidate"]) == ("promoted", 32, adapter)
    assert report["num_train"] > 24
    assert report["differences"]["rouge_average"].startswith("+")
    assert len(report["summaries"]) == 10
    assert "## Figures, n=32" in markdown
    assert "- review week1.csv" in markdown.replace(f"{tmp_path}/", "")
    assert "| rouge_average, new compared with the constant sentence |" in markdown

    runs = set((home / "refresh" / "runs").iterdir())
    again = refresh(aftercall, "--from-review", good, "--data", "labelled")
    assert (again.exit_code, "nothing changed since the last refresh" in again.output) == (0, True)
    assert (set((home / "refresh" / "runs").iterdir()), served()) == (runs, adapter)

    garbage = write_review(tmp_path / "week2.csv", GARBAGE)
    kept = refresh(aftercall, "--from-review", garbage, "--data", "labelled", steps=10)
    assert kept.exit_code == 20
    assert "\nkept: its ROUGE " in kept.output
    assert served() == adapter
    history = aftercall("adapters", "history").output
    assert history.count("promote") == 1


def test_too_few_held_out_conversations_are_not_enough_data(aftercall: Call, home: Path, tmp_path: Path) -> None:
    answer = refresh(aftercall, "--from-review", write_review(tmp_path / "week1.csv", "Refund sent again."))
    assert answer.exit_code == 21
    assert "held-out conversations that the served adapter was not trained on, and the gate needs 30" in answer.output
    _, report = read_report(answer)
    assert (report["outcome"], report["candidate"]) == ("not enough data", None)
    assert not (home / "refresh" / "runs").exists()


def test_a_second_refresh_at_the_same_time_fails(aftercall: Call, home: Path, tmp_path: Path) -> None:
    (home / "refresh").mkdir()
    with (home / "refresh" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answer = refresh(aftercall, "--data", "labelled")
    assert (answer.exit_code, "another refresh is running" in answer.errors) == (22, True)


def test_a_review_with_a_sorted_column_fails_and_changes_nothing(aftercall: Call, home: Path, tmp_path: Path) -> None:
    review = write_review(tmp_path / "week1.csv", "Refund sent again.")
    rows = read(review)
    for row, summary in zip(rows, sorted(row["summary"] for row in rows), strict=True):
        row["summary"] = summary
    with review.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    answer = refresh(aftercall, "--from-review", review, "--data", "labelled")
    assert answer.exit_code == 22
    assert "the refresh failed, and what is served is unchanged: " in answer.errors
    assert "summary not as exported for job" in answer.errors
    assert not (home / "refresh" / "corrections.csv").exists()


def test_a_stopped_refresh_resumes_from_its_checkpoint(
    aftercall: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Stopwatch, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "on_save", stop)
        assert refresh(aftercall, "--data", "labelled", "--epochs", "2", steps=0).exit_code == 130
    (run,) = (home / "refresh" / "runs").iterdir()
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-6"}
    started = (run / "run.json").stat().st_mtime_ns
    done = refresh(aftercall, "--data", "labelled", "--epochs", "2", steps=0)
    assert done.exit_code in (0, 20), done.errors
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-6", "checkpoint-12"}
    assert (run / "run.json").stat().st_mtime_ns == started
