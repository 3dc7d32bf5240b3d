"""Files that commands write: nobody sees half of one, two writers do not meet, and nothing of a person's is lost."""

import os
from pathlib import Path

import pytest

from aftercall.errors import AftercallError
from aftercall.files import writing_whole
from producer.output import write_out
from producer.rejected import RejectedFile
from producer.results import results_path
from producer.source import Rejected

ROW = Rejected(2, "no reason.", ("1",))
CONTENT = "line,reason,id\n2,no reason.,1\n"


def reject(path: Path, *rows: Rejected, is_dry_run: bool = False) -> RejectedFile:
    """A source read to its end, with these rows rejected."""
    with RejectedFile(path, ["id"], is_dry_run=is_dry_run) as file:
        for row in rows:
            file.write(row)
    return file


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with writing_whole(path) as first, writing_whole(path) as second:
        first.write("whole\n" * 3)
        second.write("whole\n" * 3)
    assert path.read_text() == "whole\n" * 3
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_reject_the_same_rows_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    with RejectedFile(path, ["id"]) as first, RejectedFile(path, ["id"]) as second:
        first.write(ROW)
        second.write(ROW)
    assert path.read_text() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_leaves_the_older_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    path.write_text("older")
    with pytest.raises(KeyboardInterrupt), RejectedFile(path, ["id"]) as rejected:
        rejected.write(ROW)
        raise KeyboardInterrupt
    assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(path, "older")]


@pytest.mark.parametrize("rows", [(ROW,), ()], ids=["with rejected rows", "without"])
def test_an_older_file_with_other_rows_is_kept(rows: tuple[Rejected, ...], tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    path.write_text("corrected by hand")
    kept = tmp_path / "night.csv.rejected.csv~"

    assert reject(path, *rows).older_path == kept
    assert kept.read_text() == "corrected by hand"
    assert path.exists() == bool(rows)
    assert reject(path, *rows).older_path is None
    assert kept.read_text() == "corrected by hand"


def test_none_of_several_older_files_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    for night in ("monday", "tuesday", "wednesday"):
        path.write_text(night)
        reject(path)
    kept = {each.name: each.read_text() for each in tmp_path.iterdir()}
    assert kept == {f"{path.name}~": "monday", f"{path.name}~2": "tuesday", f"{path.name}~3": "wednesday"}


def test_a_folder_of_that_name_is_told_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        reject(path, ROW)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("rows", [(ROW,), ()], ids=["with rejected rows", "without"])
def test_a_dry_run_leaves_what_is_there(rows: tuple[Rejected, ...], tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    path.write_text("corrected by hand")
    assert reject(path, *rows, is_dry_run=True).older_path == path
    assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(path, "corrected by hand")]


def test_only_files_are_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for out in (pipe, link):
        with pytest.raises(AftercallError, match="is not a regular file"):
            write_out(out, ["id"], lambda file: file.write("x"))
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_disk_that_is_full_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(OSError, match="No space left") as raised, writing_whole(path):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("night.csv", "night.summaries.csv"),
        ("exports/night.2026-11-21.csv", "night.2026-11-21.summaries.csv"),
        ("night.2026-11-21.csv.gz", "night.2026-11-21.summaries.csv"),
        ("night.2026-11-21", "night.2026-11-21.summaries.csv"),
        ("night.csv.1", "night.csv.1.summaries.csv"),
        ("-", "stdin.summaries.csv"),
    ],
)
def test_each_night_has_a_results_file_of_its_own(source: str, name: str) -> None:
    assert results_path(source) == Path(name)
