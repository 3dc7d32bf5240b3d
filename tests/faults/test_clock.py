"""A worker whose own clock is hours off: leases and times go by the database's, so it changes nothing."""

import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.ledger import account
from aftercall.models import Job, Summary
from aftercall.settings import Settings
from tests.fixtures.workers import (
    QUICK_BEATS,
    WorkerStarter,
    assert_never,
    expected_summaries,
    outlast_leases,
    pass_time,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(48)]
SKEWED = "tests.fixtures.skewed_worker"


@pytest.fixture(params=["7200", "-7200"], ids=["two hours ahead", "two hours behind"])
def skew_s(request: pytest.FixtureRequest) -> str:
    """By how much the worker's clock is off."""
    return str(request.param)


def test_it_takes_no_lease_of_a_worker_that_lives(
    skew_s: str, tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    began = time.time()
    held = start_worker("--threads", "1", is_held=True)
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    wait_until(lambda: held.num_calls.total() == 16, "a chunk in the engine of the worker with the right clock")
    skewed = start_worker(skew_s, module=SKEWED)
    wait_until(lambda: account.account(database, report.submission_id).done == 32, "the rest done by the other")
    # A lease is minutes, the clock is off by hours, and the worker that goes by it sweeps ten times meanwhile.
    assert_never(lambda: account.account(database, report.submission_id).running < 16, "a lost lease", 2.0)
    held.hold.unlink()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert skewed.num_calls.total() == 32
    assert set(start_worker.num_calls.values()) == {1}
    with reading(database) as connection:
        times = [*connection.execute(select(Summary.created_at)).scalars()]
        times += connection.execute(select(Job.finished_at)).scalars()
    assert began - 60 < min(times) <= max(times) < time.time() + 60


def test_its_own_leases_are_kept_while_it_lives_and_run_out_when_it_dies(
    skew_s: str, tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    skewed = start_worker("--threads", "1", *QUICK_BEATS, skew_s, is_held=True, module=SKEWED)
    report = submit_file(write_source(tmp_path / "night.csv", IDS[:16]), database, settings)
    wait_until(lambda: skewed.num_calls.total() == 16, "a chunk in the engine of the worker with the wrong clock")
    other = start_worker()
    late = submit_file(write_source(tmp_path / "late.csv", ["late"]), database, settings)
    wait_until_finished(database, late.submission_id)
    outlast_leases(database, settings.lease_s)
    assert account.account(database, report.submission_id).running == 16
    skewed.kill()
    pass_time(database, settings.lease_s)

    assert wait_until_finished(database, report.submission_id).done == 16
    assert other.num_calls.total() == 17
