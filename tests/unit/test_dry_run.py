"""A dry run says what the first submit then does."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from producer.batches import MAX_BATCH_ROWS
from producer.dry_run import dry_run
from producer.source import open_source
from producer.submit import SubmitReport
from tests.fixtures.command import Answer

#: Repeated, clashing, broken, and with nothing in them; within a batch and from one to the next.
UGLY = [
    ["a", "Customer: my order did not arrive yet"],
    ["a", "Customer: my order did not arrive yet"],
    ["a", "Customer: where is my money now"],
    ["b", "Customer: hello"],
    ["", "Customer: who am I to you"],
    ["c", "nobody speaks"],
]


def write_ugly(path: Path) -> None:
    rows = [*UGLY, *([f"n{number}", f"Customer: number {number} of all of them"] for number in range(MAX_BATCH_ROWS))]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["conversation_id", "transcript"], *rows, *UGLY])


def counts(answer: Answer) -> list[str]:
    """The numbers of the account, and the reasons of what is rejected."""
    account = [line for line in answer.output.splitlines() if line.startswith("  ")]
    return [*re.findall(r"\d[\d,]*", account[0]), *account[1:]]


def test_a_dry_run_and_the_submit_after_it_agree(aftercall: Callable[..., Answer]) -> None:
    write_ugly(Path("night.csv"))
    dry = aftercall("submit", "--dry-run", "night.csv")
    rejected = Path("night.csv.rejected.csv").read_bytes()
    submitted = aftercall("submit", "night.csv")

    assert "1,006 conversations read: 1,002 to submit (1 with nothing to summarize), 4 repeated\n" in dry.output
    assert "6 rejected, all of them in night.csv.rejected.csv" in dry.output
    assert counts(dry) == counts(submitted)
    assert Path("night.csv.rejected.csv").read_bytes() == rejected
    assert "is kept as" not in submitted.output


def test_the_parts_of_the_account_make_up_the_whole(aftercall: Callable[..., Answer]) -> None:
    write_ugly(Path("night.csv"))
    aftercall("submit", "night.csv")
    with Path("night.csv").open("a") as file:
        file.write("d,Customer: one more of these today\n")
    told = aftercall("submit", "night.csv").output
    assert (
        "1,007 conversations read: 1,003 new (1,002 with a text known before, whose summary "
        "is taken over; 1 with nothing to summarize), 4 repeated or there before\n"
    ) in told


def test_a_dry_run_of_broken_rows_alone_shows_that_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text("conversation_id,transcript\n" + "only one cell\n" * (2 * MAX_BATCH_ROWS))
    seen: list[int] = []

    def note(report: SubmitReport) -> None:
        seen.append(report.num_rejected)

    with open_source(str(path)) as source:
        dry_run(source, tmp_path / "rejected.csv", note)
    assert seen == [MAX_BATCH_ROWS, 2 * MAX_BATCH_ROWS]


@pytest.mark.parametrize("args", [[], ["--dry-run"]])
def test_rejected_rows_count_in_the_line_that_shows_life(
    args: list[str], aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("rich.status.Status.update", lambda status, text: shown.append(str(text)))
    Path("night.csv").write_text("conversation_id,transcript\n" + "only one cell\n" * MAX_BATCH_ROWS)
    aftercall("submit", *args, "night.csv")
    assert [line.rpartition(", ")[0] for line in shown] == ["reading night.csv: 0 conversations, 1,000 rejected"]
