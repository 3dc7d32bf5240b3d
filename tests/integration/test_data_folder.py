"""The data folder: one run at a time, another folder than last night's, read-only, or open to other users."""

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aftercall import schema
from aftercall.database import connect
from aftercall.embedded import embedded_broker
from aftercall.errors import AlreadyRunningError, NotFoundError
from aftercall.logs import EventFormatter
from aftercall.run_lock import LOCK_FILE, locking
from aftercall.settings import Settings
from producer.doctor import machine
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source

NOBODY = 65_534

HOLD = """
import sys, time
from pathlib import Path
from aftercall.run_lock import locking
with locking(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs in the data folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "aftercall-data")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_run_in_a_folder_says_who_holds_it(
    holder: "subprocess.Popen[str]", aftercall: Callable[..., Answer], tmp_path: Path
) -> None:
    write_source(tmp_path / "night.csv", ["C-1"])
    answer = aftercall("run", "night.csv")
    assert answer.exit_code == AlreadyRunningError.exit_code
    said = f"another `aftercall run` works in aftercall-data: process {holder.pid}, since "
    assert said in answer.errors
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait until it has ended", answer.errors)
    # Nothing of the first one's was touched.
    assert sorted(path.name for path in Path("aftercall-data").glob("valkey/*")) == []


def test_the_lock_of_a_killed_run_is_free(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    data_dir = tmp_path / "aftercall-data"
    with locking(data_dir):
        assert (data_dir / LOCK_FILE).read_text().startswith(f"process {os.getpid()}, since ")
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}, since"), embedded_broker(data_dir):
            pass
    with locking(data_dir):
        pass


def test_purge_in_another_folder_says_that_there_is_no_ledger(aftercall: Callable[..., Answer]) -> None:
    for arguments in (["--older-than", "30d", "--yes"], ["1", "--yes"], ["--older-than", "30d", "--dry-run"]):
        answer = aftercall("purge", *arguments)
        assert answer.exit_code == NotFoundError.exit_code
        assert "there is no ledger at sqlite:///aftercall-data/aftercall.db, so nothing is deleted" in answer.errors
    assert not Path("aftercall-data").exists()


@pytest.fixture
def read_only_night(aftercall: Callable[..., Answer], tmp_path: Path) -> Iterator[Callable[..., Answer]]:
    """The command for a user who can read a submitted night's data folder, and write nothing in it."""
    write_source(tmp_path / "night.csv", ["C-1", "C-2"])
    aftercall("submit", "night.csv")
    data_dir = tmp_path / "aftercall-data"
    assert not list(data_dir.glob("*-wal"))
    (data_dir / "aftercall.db").chmod(0o444)
    data_dir.chmod(0o555)
    folders = [folder for folder in tmp_path.parents if folder.stat().st_mode & 0o077 == 0]
    for folder in [tmp_path, *folders]:
        folder.chmod(0o755)
    if is_root := os.geteuid() == 0:
        # Root can write anywhere.
        os.seteuid(NOBODY)
    yield aftercall
    if is_root:
        os.seteuid(0)
    data_dir.chmod(0o755)


def test_a_read_only_ledger_can_be_looked_at(read_only_night: Callable[..., Answer]) -> None:
    status = read_only_night("status")
    assert status.exit_code == 0, status
    assert "night.csv" in status.output
    exported = read_only_night("export", "1", "--out", "-")
    assert exported.exit_code == 0, exported
    assert "2 waiting" in exported.errors


def test_what_would_change_a_read_only_ledger_says_what_to_do(read_only_night: Callable[..., Answer]) -> None:
    answer = read_only_night("cancel", "1")
    assert answer.exit_code == 7
    assert "attempt to write a readonly database. The file or its folder is read-only for this user." in answer.errors
    assert "AFTERCALL_DATABASE_URL" not in answer.errors


def test_a_log_that_was_not_merged_is_read_too(tmp_path: Path) -> None:
    # As a worker leaves it that is running, or was killed.
    path = tmp_path / "aftercall.db"
    writer = connect(f"sqlite:///{path}")
    schema.upgrade(writer)
    with writer.connect() as held, writer.begin() as connection:
        held.execution_options(is_reader=True)
        connection.exec_driver_sql(
            "INSERT INTO submission (name, source_digest, num_rejected, created_at) VALUES ('new', 'd', 0, 0)"
        )
    assert path.with_name("aftercall.db-wal").stat().st_size > 0
    path.chmod(0o444)
    is_root = os.geteuid() == 0
    if is_root:
        for folder in [tmp_path, *tmp_path.parents]:
            if folder.stat().st_mode & 0o055 != 0o055:
                folder.chmod(0o755)
        for each in tmp_path.iterdir():
            each.chmod(0o644)
        os.seteuid(NOBODY)
    try:
        reader = connect(f"sqlite:///{path}")
        with reader.connect() as connection:
            assert connection.exec_driver_sql("SELECT name FROM submission").scalar_one() == "new"
        reader.dispose()
    finally:
        if is_root:
            os.seteuid(0)
    writer.dispose()


def test_the_doctor_warns_of_files_that_others_can_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a folder" / "data")
    with schema.open_ledger(settings):
        pass
    assert rights(settings) == []
    # As older versions created them.
    settings.data_dir.chmod(0o755)
    assert rights(settings) == []
    settings.database_path.chmod(0o644)
    (found,) = rights(settings)
    assert "other users of this machine can read customers' words" in found
    assert "(aftercall.db)" in found
    advice = found.partition("Run: ")[2]
    subprocess.run(["sh", "-c", advice], check=True)
    assert rights(settings) == []
    assert settings.data_dir.stat().st_mode & 0o077 == 0


def rights(settings: Settings) -> list[str]:
    return [each.sentence for each in machine.findings(settings) if each.subject == "rights"]


def test_a_file_name_cannot_drive_the_terminal(aftercall: Callable[..., Answer], tmp_path: Path) -> None:
    name = "night\x1b]0;owned\x07\x1b[2J.csv"
    write_source(tmp_path / name, ["C-1"])
    aftercall("submit", name)
    for arguments in (["submit", "missing\x1b[2J.csv"], ["cancel", "1"], ["purge", "1", "--dry-run"]):
        answer = aftercall(*arguments)
        assert "\x1b" not in answer.output + answer.errors, arguments
        assert "\\x1b" in answer.output + answer.errors, arguments


def test_a_log_line_cannot_be_faked() -> None:
    record = logging.LogRecord("name", logging.INFO, "path", 1, "read %s", ("a\n2026 ERROR b\x1b[2J\u202e",), None)
    assert EventFormatter("text", "w").format(record).endswith(" w INFO read a\\n2026 ERROR b\\x1b[2J\\u202e")
