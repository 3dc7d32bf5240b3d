"""Files that aftercall keeps are private and whole; an older file is set aside, never overwritten."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest

from aftercall import schema
from aftercall.embedded import broker_log, embedded_broker
from aftercall.files import filling_folder, make_private_folder, set_aside, write_whole, writing_whole
from aftercall.settings import Settings
from producer.results import write_results
from tests.unit.test_results import submit, summarize
from tests.unit.test_spool import record
from worker.jobs.spool import Spool


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask of most machines, under which new files can be read by everyone."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_names_of_older_files_count_up(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    names = []
    for content in ("first", "second", "third"):
        path.write_text(content)
        names.append(set_aside(path).name)
    assert names == ["out.csv~", "out.csv~2", "out.csv~3"]
    assert [(tmp_path / name).read_text() for name in names] == ["first", "second", "third"]


def test_files_set_aside_at_the_same_time_get_different_names(tmp_path: Path) -> None:
    num_writers, barrier = 8, Barrier(8)
    kept: list[str] = []

    def keep(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "out.csv").write_text(str(number))
        barrier.wait()
        # All of them are renamed into one folder, as several processes would.
        own = tmp_path / "out.csv"
        for _ in range(20):
            (folder / "out.csv").replace(own)
            # Another writer may be faster, and set this one's file aside.
            with suppress(FileNotFoundError):
                kept.append(set_aside(own).name)
            (folder / "out.csv").write_text(str(number))

    writers = [Thread(target=keep, args=(number,)) for number in range(num_writers)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(kept) == len(set(kept)) > 0


def test_results_of_two_nights_never_overwrite_what_is_there(tmp_path: Path) -> None:
    # An editor's backup, and then the results of two other sources.
    out = tmp_path / "n.summaries.csv"
    out.with_name(f"{out.name}~").write_text("an editor's backup")
    with schema.open_ledger(Settings(data_dir=tmp_path / "data")) as ledger:
        contents = []
        for number, text in enumerate(("user: one\n", "user: two\n", "user: three\n"), start=1):
            submission_id = submit(ledger, str(number), {str(number): text})
            summarize(ledger, number, f"summary {number}")
            write_results(ledger, submission_id, out)
            contents.append(out.read_text())
    kept = {name: (tmp_path / f"{out.name}{name}").read_text() for name in ("~", "~2", "~3")}
    assert kept == {"~": "an editor's backup", "~2": contents[0], "~3": contents[1]}


def test_what_aftercall_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")
    with schema.open_ledger(settings) as ledger:
        submit(ledger, "digest", {"1": "user: hello\n"})
        Spool(settings.spool_dir).keep([record(1)])
        with embedded_broker(settings.data_dir):
            found = {path: mode(path) for path in settings.data_dir.rglob("*")}
    assert {path.name for path in found} >= {"aftercall.db", "aftercall.db-wal", "aftercall.db-shm", "spool", "valkey"}
    assert any(path.name.endswith(".aof") for path in found)
    assert broker_log(settings.data_dir) in found
    assert {path: each for path, each in found.items() if each & 0o077} == {}
    assert mode(settings.data_dir) == mode(settings.data_dir.parent) == 0o700


def test_what_a_user_named_keeps_the_users_rights(tmp_path: Path) -> None:
    with writing_whole(tmp_path / "out.csv") as file:
        file.write("id\n")
    write_whole(tmp_path / "card.md", b"# Card\n")
    assert (mode(tmp_path / "out.csv"), mode(tmp_path / "card.md")) == (0o644, 0o644)


def test_a_folder_that_exists_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "data" / "spool")
    assert (mode(tmp_path), mode(tmp_path / "data"), mode(tmp_path / "data" / "spool")) == (0o755, 0o700, 0o700)


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk: no file of this process may grow beyond 10 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            write_whole(tmp_path / "out.json", b"x" * 100, is_private=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_renamed_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), filling_folder(tmp_path) as folder:
        (folder / "half").write_text("half")
        raise KeyError
    with filling_folder(tmp_path) as folder:
        (folder / "whole").write_text("whole")
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
