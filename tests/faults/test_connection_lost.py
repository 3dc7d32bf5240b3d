"""The connection to PostgreSQL cut in the middle of a commit, before or after the server heard of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, select

from aftercall.database import reading
from aftercall.ledger import account
from aftercall.models import Job, Summary
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakablePostgres
from tests.fixtures.cutting_proxy import CuttingProxy
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    pass_time,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(64)]

#: Words that only the statement of a claim, or of a completion, has in it.
CLAIM = b"SET state=$1::VARCHAR, attempts=(job.attempts +"
COMPLETION = b"INSERT INTO summary"


@pytest.fixture
def database_url(own_postgres: BreakablePostgres) -> str:
    """A server of the test's own."""
    return own_postgres.url


@pytest.fixture
def proxy(own_postgres: BreakablePostgres) -> Iterator[CuttingProxy]:
    """What stands between the workers and the server."""
    proxy = CuttingProxy(own_postgres.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def settings(settings: Settings, proxy: CuttingProxy) -> Settings:
    """Workers connect through the proxy."""
    url = make_url(settings.database_url).set(host="127.0.0.1", port=proxy.port, query={"sslmode": "disable"})
    return settings.model_copy(update={"database_url": url.render_as_string(hide_password=False)})


@pytest.mark.parametrize("is_forwarded", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("statement", [CLAIM, COMPLETION], ids=["claim", "completion"])
def test_nothing_is_half_done_and_nothing_twice(
    statement: bytes,
    is_forwarded: bool,
    tmp_path: Path,
    settings: Settings,
    proxy: CuttingProxy,
    database: Engine,
    start_worker: WorkerStarter,
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    proxy.cut_next_commit(statement, is_forwarded=is_forwarded)
    worker = start_worker("--threads", "2")
    # Whose claim was committed unheard waits for the lease to run out; nobody else loses an attempt.
    is_claimed_unheard = statement is CLAIM and is_forwarded
    if is_claimed_unheard:
        wait_until(lambda: account.account(database, report.submission_id).done == 48, "all others done")
        pass_time(database, settings.lease_s)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert proxy.num_cuts == 1
    wait_until(lambda: "database away" in worker.log.read_text(), "the worker says so")
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}
    with reading(database) as connection:
        assert Counter(connection.execute(select(Summary.job_id)).scalars()).total() == len(IDS)
        attempts = Counter(connection.execute(select(Job.attempts)).scalars())
    assert attempts == ({1: 48, 2: 16} if is_claimed_unheard else {1: 64})
    wait_until(lambda: not list((settings.data_dir / "spool").glob("*.json")), "an empty spool")
