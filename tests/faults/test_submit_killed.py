"""A submit that is killed, or that runs twice at once: as if it had run once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.errors import EXIT_SOME_REJECTED
from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.killed_submit import POINTS
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    summaries_by_id,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:04d}" for number in range(2_500)]


def start_submit(settings: Settings, *command: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **settings.to_environment()}
    return subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_started_again_it_is_as_if_once(
    point: str, tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"chunk_size": 100})
    source = write_source(tmp_path / "night.csv", IDS)
    batch = "1" if point == "before-close" else "2"
    killed = start_submit(settings, "tests.fixtures.killed_submit", str(source), point, batch)
    assert killed.wait() == -9
    assert not account.submission(database, 1).is_read
    assert start_submit(settings, "aftercall", "submit", str(source)).wait() == 0

    assert account.submission(database, 1).is_read
    assert account.account(database, 1).submitted == len(IDS)
    worker = start_worker(settings=settings)
    assert wait_until_finished(database, 1).done == len(IDS)
    assert summaries_by_id(database, 1) == expected_summaries(IDS)
    assert list(summaries_by_id(database, 1)) == IDS
    assert set(worker.num_calls.values()) == {1}


def test_two_of_one_file_at_the_same_time_are_as_if_one(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", ["", *IDS])
    both = [start_submit(settings, "aftercall", "submit", str(source)) for _ in range(2)]
    assert [submitted.wait() for submitted in both] == [EXIT_SOME_REJECTED] * 2
    assert len((tmp_path / "night.csv.rejected.csv").read_text().splitlines()) > 1

    assert [record.id for record in account.submissions(database)] == [1]
    assert account.account(database, 1).submitted == len(IDS)
    worker = start_worker()
    assert wait_until_finished(database, 1).done == len(IDS)
    assert set(worker.num_calls.values()) == {1}


def test_two_files_with_the_same_conversations_in_another_order_wait_for_each_other(
    tmp_path: Path, settings: Settings, database: Engine
) -> None:
    sources = [write_source(tmp_path / f"{name}.csv", ids) for name, ids in (("up", IDS), ("down", reversed(IDS)))]
    both = [start_submit(settings, "aftercall", "submit", str(source)) for source in sources]
    assert [submitted.wait() for submitted in both] == [0, 0]

    assert {account.account(database, record.id).submitted for record in account.submissions(database)} == {len(IDS)}
