"""The fault campaign itself: a small one passes, and its verdict does fall on a night in which something is wrong."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from aftercall.database import reading
from aftercall.ledger import work
from aftercall.models import Job, JobState, SubmissionJob, Summary
from aftercall.settings import Settings
from bench.campaign.check import check_ledger, check_workers
from bench.campaign.night import Export, expected_state, expected_summary, write_exports
from tests.fixtures.workers import submit_file

LEASE = work.Lease("worker-1", 60.0)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("database_name", ["sqlite", "postgresql"])
def test_a_small_campaign_ends_well(database_name: str, tmp_path: Path) -> None:
    options = {"database": database_name, "seed": 3, "num-faults": 3, "num-conversations": 250, "workers": 2}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "bench.campaign", *arguments, "--call-s=0.05", f"--keep={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=840)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| **all** | 3 | 0 | 0 |" in ended.stdout
    assert "1 seeds, 250 conversations" in ended.stdout


@pytest.fixture
def night(tmp_path: Path, settings: Settings, database: Engine) -> list[Export]:
    """A night that went as it should, without a worker."""
    exports = write_exports(tmp_path, 240, random.Random(1))
    for export in exports:
        submit_file(export.path, database, settings)
    with reading(database) as connection:
        places = select(SubmissionJob.job_id, SubmissionJob.external_id).distinct()
        ids = dict(connection.execute(places).all())
    work.claim(database, list(ids), LEASE, max_attempts=1)
    summaries = {job_id: expected_summary(external_id) for job_id, external_id in ids.items()}
    work.complete(database, [_record(job_id, text) for job_id, text in summaries.items() if text is not None])
    for job_id, external_id in ids.items():
        if expected_state(external_id) == JobState.FAILED:
            work.fail(database, work.JobFailure(job_id, "engine_error", "poisoned"), "worker-1", 1, 0.0)
    return exports


def test_a_good_night_has_nothing_wrong(night: list[Export], database: Engine) -> None:
    assert len(night) == 6
    assert check_ledger(database, night) == []


def lose_summary(connection: Connection, job_id: int, other_id: int) -> None:
    connection.execute(delete(Summary).where(Summary.job_id == job_id))


def double_summary(connection: Connection, job_id: int, other_id: int) -> None:
    columns = [column for column in Summary.__table__.columns if column.name not in ("id", "adapter_digest")]
    copied = select(*columns, func.lower("another")).where(Summary.job_id == job_id)
    connection.execute(insert(Summary).from_select([*columns, Summary.adapter_digest], copied))


def swap_summaries(connection: Connection, job_id: int, other_id: int) -> None:
    texts = dict(connection.execute(select(Summary.job_id, Summary.text)).all())
    for taker, giver in ((job_id, other_id), (other_id, job_id)):
        connection.execute(update(Summary).where(Summary.job_id == taker).values(text=texts[giver]))


def lose_place(connection: Connection, job_id: int, other_id: int) -> None:
    connection.execute(delete(SubmissionJob).where(SubmissionJob.job_id == job_id))


def fail_innocent(connection: Connection, job_id: int, other_id: int) -> None:
    lose_summary(connection, job_id, other_id)
    connection.execute(update(Job).where(Job.id == job_id).values(state=JobState.FAILED))


def leave_running(connection: Connection, job_id: int, other_id: int) -> None:
    connection.execute(update(Job).where(Job.id == job_id).values(state=JobState.RUNNING, lease_owner="worker-1"))


@pytest.mark.parametrize(
    "tamper", [lose_summary, double_summary, swap_summaries, lose_place, fail_innocent, leave_running]
)
def test_the_verdict_falls_on_what_is_lost_repeated_or_swapped(
    tamper: Callable[[Connection, int, int], None], night: list[Export], database: Engine
) -> None:
    innocent = (SubmissionJob.job_id == Job.id) & (Job.state == JobState.DONE)
    with database.begin() as connection:
        found = connection.execute(select(Job.id, SubmissionJob.external_id).where(innocent).order_by(Job.id)).all()
        (job_id, external_id), other = found[0], found[-1]
        tamper(connection, job_id, other.id)
    wrongs = check_ledger(database, night)

    assert [wrong for wrong in wrongs if external_id in wrong or f"job {job_id} " in wrong], wrongs


def test_the_verdict_falls_on_workers_that_die_by_themselves_or_leave_something(tmp_path: Path) -> None:
    restarts = (
        "aftercall: aftercall-gpu0 was killed by SIGKILL; starting it again in 0.1 s.\n"
        "aftercall: aftercall-gpu1 ended with exit code 0; starting it again in 0.1 s.\n"
    )
    assert check_workers(restarts, tmp_path) == []
    (tmp_path / "left.json").write_text("[]")
    log = f"{restarts}aftercall: aftercall-gpu1 ended with exit code 1; starting it again in 0.1 s.\n"
    assert check_workers(f"{log}Exception in thread upkeep:\n", tmp_path) == [
        "1 workers ended with exit code 1",
        "in a worker: Exception in thread upkeep:",
        "not written from the spool: left.json",
    ]


def _record(job_id: int, text: str) -> work.SummaryRecord:
    return work.SummaryRecord(
        job_id, "", text, "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 1.0, 0.5, "worker-1"
    )
