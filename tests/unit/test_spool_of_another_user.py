"""A spool that another user's worker wrote, as one `sudo aftercall worker` does: said, and nothing ends for it."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftercall import schema
from aftercall.database import connect
from aftercall.settings import Settings
from tests.unit.test_spool import record
from worker.jobs.recorder import Recorder
from worker.jobs.spool import Spool

NOBODY = 65_534


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that any user may look into; pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def spool(data_dir: Path) -> Iterator[Spool]:
    """A spool with one file, in which this process may change nothing."""
    folder = data_dir / "spool"
    spool = Spool(folder)
    # As older versions wrote it: readable for everyone.
    spool.keep([record(1)]).chmod(0o644)
    folder.chmod(0o555)
    if is_root := os.geteuid() == 0:
        # To root everything is permitted.
        os.seteuid(NOBODY)
    yield spool
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)


def test_what_cannot_be_deleted_is_written_and_named_with_what_to_do(
    spool: Spool, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = connect("sqlite://")
    schema.upgrade(database)
    with caplog.at_level(logging.INFO, "worker"):
        Recorder(database, "worker", Settings(data_dir=data_dir)).replay_spool()
    database.dispose()

    ((path, _),) = spool.files()
    assert "summaries from the spool" in caplog.text
    assert f"{path}: Permission denied" in caplog.text
    assert f"sudo chown -R {os.geteuid()} {path.parent}" in caplog.text


def test_what_cannot_be_read_is_passed_over_and_the_rest_is_read(data_dir: Path) -> None:
    spool = Spool(data_dir)
    # Not even root reads a folder as a file.
    (data_dir / "foreign.json").mkdir()
    kept = spool.keep([record(1)])
    assert [path for path, _ in spool.files()] == [kept]


def test_what_is_of_another_version_and_cannot_be_put_aside_is_passed_over(spool: Spool, data_dir: Path) -> None:
    ((path, _),) = spool.files()
    as_owner(path, "half a fi")
    assert list(spool.files()) == []
    assert path.exists()


def test_a_spool_that_cannot_be_looked_into_is_named(
    spool: Spool, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    as_owner(data_dir / "spool", None)
    assert list(spool.files()) == []
    assert f"{data_dir / 'spool'}: Permission denied" in caplog.text


def as_owner(path: Path, content: str | None) -> None:
    """Write into a file of the other user, or close the folder to everybody else."""
    user = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    if content is None:
        path.chmod(0o000)
    else:
        path.write_text(content)
    os.seteuid(user)
