"""A full disk: what is finished waits, in the spool or in memory, and is written when there is room again.

A limit on the size of files stands in for it: it needs no rights, holds for every write of a process, and can be lifted
while the process runs.
"""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakablePostgres, limit_files
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

pytestmark = pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit, which Linux has")

IDS = [f"C-{number:03d}" for number in range(64)]

#: PostgreSQL allocates its log in files of this size, which are to be written to the end.
WAL_SEGMENT_BYTES = 16 << 20

_FILL_JOB = """
INSERT INTO job (job_key, text, cleaner_version, state, attempts, visible_at, created_at)
VALUES ('filler', '', '1', 'done', 1, 0, 0) RETURNING id
"""
_FILL_SUMMARIES = """
INSERT INTO summary (job_id, adapter_digest, text, base_model, quantization, compute_dtype, prompt_version,
                     cleaner_version, generation, num_prompt_tokens, num_completion_tokens, finish_reason, coverage,
                     duration_s, worker, created_at)
SELECT :job_id, number, repeat('x', 1600), '', '', '', '', '', '', 0, 0, '', 0, 0, '', 0
FROM generate_series(1, 9000) AS number
"""


def fill_summary_table(database: Engine) -> int:
    """Make the table's file larger than one of the server's log; returns its size."""
    with database.begin() as connection:
        job_id = connection.execute(text(_FILL_JOB)).scalar_one()
        connection.execute(text(_FILL_SUMMARIES), {"job_id": job_id})
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # A table grows by more pages than are asked for; written anew, it has no empty ones.
        connection.execute(text("VACUUM FULL summary"))
        num_bytes = int(connection.execute(text("SELECT pg_relation_size('summary')")).scalar_one())
    assert num_bytes > WAL_SEGMENT_BYTES
    return num_bytes


def num_spooled(settings: Settings) -> int:
    return len(list((settings.data_dir / "spool").glob("*")))


class TestPostgres:
    @pytest.fixture
    def database_url(self, own_postgres: BreakablePostgres) -> str:
        """A server of the test's own."""
        return own_postgres.url

    def test_what_it_cannot_store_waits_in_the_spool(
        self,
        tmp_path: Path,
        settings: Settings,
        own_postgres: BreakablePostgres,
        database: Engine,
        start_worker: WorkerStarter,
    ) -> None:
        max_bytes = fill_summary_table(database)
        report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
        worker = start_worker("--threads", "2", is_held=True)
        wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
        own_postgres.limit_files(max_bytes)
        worker.hold.unlink()
        wait_until(lambda: num_spooled(settings) == 2, "both finished chunks in the spool")
        wait_until(lambda: "next try in" in worker.log.read_text(), "another try")
        assert "could not extend file" in worker.log.read_text()
        assert account.account(database, report.submission_id).done == 0
        own_postgres.limit_files(None)

        assert wait_until_finished(database, report.submission_id).done == len(IDS)
        assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
        assert set(worker.num_calls.values()) == {1}
        wait_until(lambda: num_spooled(settings) == 0, "an empty spool")


@pytest.mark.parametrize(
    ("chunk_size", "is_room_for_spool"), [(16, True), (64, False)], ids=["room for the spool", "no room at all"]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_sqlite_cannot_store_waits_in_the_spool_or_in_memory(
    chunk_size: int,
    is_room_for_spool: bool,
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    start_worker: WorkerStarter,
) -> None:
    settings = settings.model_copy(update={"chunk_size": chunk_size})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "1", is_held=True)
    wait_until(lambda: worker.num_calls.total() == chunk_size, "a chunk in the engine")
    # More than the worker's own log has, or the spool of 16 summaries; less than the spool of 64.
    max_bytes = 20_000
    assert Path(f"{tmp_path / 'aftercall.db'}-wal").stat().st_size > max_bytes
    limit_files(worker.process.pid, max_bytes)
    worker.hold.unlink()
    wait_until(lambda: "next try in" in worker.log.read_text(), "another try")
    assert num_spooled(settings) == is_room_for_spool
    assert ("cannot write the spool" in worker.log.read_text()) is not is_room_for_spool
    assert account.account(database, report.submission_id).done == 0
    limit_files(worker.process.pid, None)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}
    wait_until(lambda: num_spooled(settings) == 0, "an empty spool")
