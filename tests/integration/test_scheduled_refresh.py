"""`aftercall refresh`: weeks of reviews on a tiny model, each with its outcome, exit code and report."""

import csv
import fcntl
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.refreshes import GARBAGE, Call, install, read_report, refresh, served, write_review
from tests.fixtures.reviews import read
from tests.unit.training.learner import SUMMARY
from training.fit.stopwatch import Stopwatch


@pytest.fixture
def home(aftercall: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an installation in the folder that the command runs in."""
    return install(tmp_path, monkeypatch)


def test_weeks_of_reviews_promote_what_is_better_and_keep_garbage_out(
    aftercall: Call, home: Path, tmp_path: Path
) -> None:
    good = write_review(tmp_path / "week1.csv", f"{SUMMARY[:-1]} now.", num_corrected=4)
    first = refresh(aftercall, "--from-review", good, "--data", "labelled")
    assert first.exit_code == 0, first.output
    assert "promoted: the gate let it pass" in first.output
    adapter = served()
    page, report = read_report(first)
    assert (report["outcome"], report["num_held_out"], report["candidate"]) == ("promoted", 32, adapter)
    assert report["num_train"] > 24
    assert report["differences"]["rouge_average"].startswith("+")
    assert len(report["summaries"]) == 10
    assert "<h2>Figures, n=32</h2>" in page
    assert "<td>review week1.csv</td>" in page.replace(f"{tmp_path}/", "")
    assert "<td>rouge_average, new compared with the constant sentence</td>" in page
    assert "<p>training: " in page
    assert page.count("<polyline") == 2
    assert page.count("<th>before</th><th>new</th>") == 10
    assert "<li>the gate let it pass</li>" in page
    assert "http" not in page

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
