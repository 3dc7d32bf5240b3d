"""A worker that dies, at every point of a chunk's way: another one finishes its work, once."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.ledger import account, workers
from aftercall.settings import Settings
from tests.fixtures.scripted_worker import FAILPOINTS
from tests.fixtures.workers import (
    QUICK_BEATS,
    WorkerStarter,
    expected_summaries,
    outlast_leases,
    pass_time,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(40)]
SIGKILLED = -9


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_worker_killed_anywhere_loses_nothing_and_repeats_nothing(
    failpoint: str, tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    assert start_worker("--threads", "1", "--kill-at", failpoint).wait() == SIGKILLED
    num_kept = account.account(database, report.submission_id).done
    pass_time(database, settings.lease_s)
    second = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert num_kept == (16 if failpoint == "after-commit" else 0)
    assert second.num_calls.total() == len(IDS) - num_kept


def test_a_worker_killed_in_the_middle_of_its_batch_is_replaced_by_one_that_was_there_already(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    first = start_worker(is_held=True)
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    wait_until(lambda: first.num_calls.total() == len(IDS), "every chunk in the engine")
    second = start_worker()
    wait_until(lambda: len(workers.alive(database)) == 2, "the other worker there")
    first.kill()
    pass_time(database, settings.lease_s)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert second.num_calls.total() == len(IDS)


def test_a_living_worker_keeps_its_lease_however_long_it_takes(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    slow = start_worker("--threads", "1", *QUICK_BEATS, is_held=True)
    report = submit_file(write_source(tmp_path / "night.csv", IDS[:16]), database, settings)
    wait_until(lambda: slow.num_calls.total() == 16, "the chunk in the engine")
    other = start_worker()
    late = submit_file(write_source(tmp_path / "late.csv", ["late"]), database, settings)
    wait_until_finished(database, late.submission_id)
    outlast_leases(database, settings.lease_s)
    assert account.account(database, report.submission_id).running == 16
    slow.hold.unlink()

    assert wait_until_finished(database, report.submission_id).done == 16
    assert other.num_calls.total() == 1
