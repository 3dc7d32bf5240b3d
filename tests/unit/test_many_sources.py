"""Several sources in one command: what aftercall wrote is none of them, and no rejected rows get lost among them."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.cli import main
from producer.source_paths import rejected_path, rejected_paths
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source

BROKEN = "conversation_id,transcript\na,Customer: hello there\nonly one cell\n"


def named(answer: Answer, words: str) -> list[str]:
    """What the lines with these words are about."""
    return [line.partition(words)[2].partition(":")[0] for line in answer.output.splitlines() if words in line]


def test_night_after_night_the_same_files_are_sources(aftercall: Callable[..., Answer]) -> None:
    Path("night.csv").write_text(BROKEN)
    aftercall("submit", "night.csv")
    aftercall("export", "1", "--out", "night.summaries.csv")
    aftercall("export", "1", "--out", "night.jsonl", "--format", "jsonl", "--provenance")
    Path("night.csv.rejected.csv~2").write_text(BROKEN)
    files = {path.name for path in Path().glob("night*")}
    for _ in range(2):
        answer = aftercall("submit", "--dry-run", *sorted(files))

        assert answer.errors == ""
        assert answer.exit_code == 4
        assert named(answer, "passed over ") == [
            "night.csv.rejected.csv", "night.csv.rejected.csv~2", "night.jsonl", "night.summaries.csv",
        ]  # fmt: skip
        assert "night.csv (conversations, utf-8): would be submitted" in answer.output
        assert {path.name for path in Path().glob("night*")} == files


def test_rejected_rows_alone_are_a_source_and_summaries_alone_are_refused(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("night.csv"), ["a"])
    aftercall("submit", "night.csv")
    aftercall("export", "1", "--out", "night.summaries.csv")
    Path("night.csv.rejected.csv").write_text("line,reason,conversation_id,transcript\n3,x,b,Customer: hello there\n")
    write_source(Path("morning.csv"), ["c"])

    alone = aftercall("submit", "--dry-run", "night.csv.rejected.csv", "morning.csv")
    assert named(alone, "passed over ") == []
    assert alone.output.count("1 conversations read: 1 to submit") == 2
    for sources in (["night.summaries.csv"], ["night.summaries.csv"] * 2):
        refused = aftercall("submit", *sources)
        assert refused.exit_code == 3
        assert refused.errors == (
            "aftercall: night.summaries.csv: these are summaries that aftercall wrote, not an export.\n"
        )


def test_what_is_told_to_be_a_source_is_one(aftercall: Callable[..., Answer]) -> None:
    Path("drafts.csv").write_text("id,state,summary,coverage\na,new,Customer: hello there,1\n")
    answer = aftercall("submit", "--dry-run", "--map", "id=id,transcript=summary", "drafts.csv")
    assert "1 to submit" in answer.output


def test_sources_of_one_name_have_a_file_of_rejected_rows_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources = ["night.csv", "monday/night.csv", "tuesday/night.csv", "./night.csv"]
    for source in sources:
        Path(source).parent.mkdir(exist_ok=True)
        Path(source).write_text(BROKEN)
    # As root every folder takes files.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert list(rejected_paths(sources).values()) == [
        Path("night.csv.rejected.csv"), Path("night.csv.2.rejected.csv"), Path("night.csv.3.rejected.csv"),
        Path("night.csv.rejected.csv"),
    ]  # fmt: skip


def test_rejected_rows_of_a_pipe_are_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rejected_path("/dev/null") == Path("null.rejected.csv")


def test_what_is_no_error_of_a_file_is_not_shown_as_one(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*args: object) -> None:
        raise io.UnsupportedOperation("not seekable")

    monkeypatch.setattr("producer.cli.open_source", break_down)
    with pytest.raises(io.UnsupportedOperation, match="not seekable"):
        main(["submit", "--dry-run", "night.csv"])
