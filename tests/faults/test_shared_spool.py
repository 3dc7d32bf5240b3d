"""The workers of a machine share one spool: each finds there what another left behind, and none stumbles over it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from aftercall.database import reading
from aftercall.ledger import delivery, work
from aftercall.ledger.intake import make_job_key
from aftercall.ledger.work import SummaryRecord
from aftercall.settings import Settings
from producer.clean import CLEANER_VERSION
from tests.fixtures.workers import WorkerStarter, cleaned_text, submit_file, summaries_by_id, wait_until, write_source
from worker.jobs.recorder import Recorder
from worker.jobs.spool import Finished, Spool


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_workers_that_find_the_same_summaries_write_them_once_and_both_go_on(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1"]), database, settings)
    (job_id,) = delivery.sent_before(database, age_s=-60.0)
    Spool(settings.data_dir / "spool").keep([Finished(_job_key("C-1"), _record(job_id))])
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE summary IN ACCESS EXCLUSIVE MODE"))
        workers = [start_worker() for _ in range(2)]
        wait_until(lambda: _num_waiting(database) == 2, "both workers about to write")
    for worker in workers:
        wait_until(lambda log=worker.log: "from the spool" in log.read_text(), "both workers beyond the spool")

    assert summaries_by_id(database, report.submission_id) == {"C-1": "Finished last night."}
    assert [worker.process.poll() for worker in workers] == [None, None]
    assert not list((settings.data_dir / "spool").iterdir())


def test_a_summary_goes_to_no_other_conversation_of_the_same_number(
    tmp_path: Path, settings: Settings, database: Engine
) -> None:
    """The ledger was restored from a backup since, and has given the number to another conversation."""
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1", "C-2"]), database, settings)
    # Numbers follow the jobs' keys, so which one is whose depends on the cleaner's version.
    sent = delivery.sent_before(database, age_s=-60.0)
    first, second = sorted(sent, key=lambda job_id: not work.find_own(database, {job_id: _job_key("C-1")}))
    Spool(settings.data_dir / "spool").keep(
        [Finished(_job_key("C-1"), _record(first)), Finished(_job_key("C-lost"), _record(second))]
    )
    Recorder(database, "worker", settings).replay_spool()

    assert summaries_by_id(database, report.submission_id) == {"C-1": "Finished last night.", "C-2": None}
    assert not list((settings.data_dir / "spool").iterdir())


def _num_waiting(database: Engine) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '% summary%'"
    with reading(database) as connection:
        return int(connection.execute(text(query)).scalar_one())


def _record(job_id: int) -> SummaryRecord:
    return SummaryRecord(
        job_id, "", "Finished last night.", "base", "none", "float32", "1", "1", "{}", 9, 2, "stop", 1.0, 0.25, "w"
    )


def _job_key(external_id: str) -> str:
    return make_job_key(cleaned_text(external_id), CLEANER_VERSION)
