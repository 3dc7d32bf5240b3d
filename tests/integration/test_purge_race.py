"""A purge and a submit at the same moment, on two connections: nothing submitted is lost, and nobody waits for ever."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from aftercall.errors import NotFoundError
from aftercall.ledger import account, control, intake, invariants, retention
from tests.fixtures.workers import TIMEOUT_S
from tests.integration.test_ledger import new_job, submit
from tests.integration.test_purge import finish_all, finished, num_rows, purge


@contextmanager
def stopped_at(database: Engine, start: str, num_before: int = 0) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the thread that is about to send a statement that begins so; yields `reached` and `go_on`."""
    reached, go_on = threading.Event(), threading.Event()
    calls = iter(range(num_before))

    def hold(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith(start) and not reached.is_set() and next(calls, None) is None:
            reached.set()
            assert go_on.wait(TIMEOUT_S)

    event.listen(database, "before_cursor_execute", hold)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        event.remove(database, "before_cursor_execute", hold)


def waits(future: "Future[object]") -> bool:
    """Whether it is still not done when it has had time to."""
    time.sleep(0.3)
    return not future.done()


@pytest.mark.parametrize("statement", ["DELETE FROM submission_job", "DELETE FROM summary", "DELETE FROM job"])
def test_a_conversation_submitted_while_its_job_is_deleted_gets_a_job_that_is_done(
    database: Engine, statement: str
) -> None:
    old = finished(database, "a", "b", digest="old")
    new = intake.open_submission(database, "new.csv", "new")
    jobs = [new_job("b", position=0), new_job("a", position=1), new_job("c", position=2)]
    with ThreadPoolExecutor(2) as pool, stopped_at(database, statement) as (reached, go_on):
        purging = pool.submit(purge, database, old)
        assert reached.wait(TIMEOUT_S)
        adding = pool.submit(intake.add_jobs, database, new, jobs)
        assert waits(adding)
        go_on.set()
        purging.result(TIMEOUT_S)
        added = adding.result(TIMEOUT_S)

    assert (added.num_added, added.num_known) == (3, 0)
    assert account.account(database, new).waiting == 3
    finish_all(database)
    assert account.account(database, new).done == 3
    assert invariants.violations(database) == []


@pytest.mark.parametrize("statement", ["INSERT INTO job", "INSERT INTO submission_job", "UPDATE job"])
def test_a_job_deleted_while_its_conversation_is_submitted_is_kept_or_made_anew(
    database: Engine, statement: str
) -> None:
    old = finished(database, "a", "b", digest="old")
    new = intake.open_submission(database, "new.csv", "new")
    jobs = [new_job("b", position=0), new_job("a", position=1)]
    with ThreadPoolExecutor(2) as pool, stopped_at(database, statement) as (reached, go_on):
        adding = pool.submit(intake.add_jobs, database, new, jobs)
        assert reached.wait(TIMEOUT_S)
        purging = pool.submit(purge, database, old)
        waits(purging)
        go_on.set()
        adding.result(TIMEOUT_S)
        purging.result(TIMEOUT_S)

    finish_all(database)
    assert account.account(database, new).done == 2
    assert {record.id for record in account.submissions(database)} == {new}
    assert invariants.violations(database) == []


def test_purges_and_submits_of_the_same_conversations_in_every_order_lose_nothing(database: Engine) -> None:
    names = [str(number) for number in range(300)]

    def add(name: str) -> int:
        submission_id = intake.open_submission(database, name, name)
        both_ready.wait()
        chosen = names if name.startswith("up") else names[::-1]
        for start in range(0, len(chosen), 100):
            part = chosen[start : start + 100]
            intake.add_jobs(database, submission_id, [new_job(each, position=int(each)) for each in part])
        return submission_id

    def delete_old(submission_id: int) -> None:
        both_ready.wait()
        purge(database, submission_id, max_places=40)

    old = [finished(database, *names, digest="old")]
    for round_ in range(4):
        both_ready = threading.Barrier(2 + len(old))
        with ThreadPoolExecutor(8) as pool:
            purging = [pool.submit(delete_old, each) for each in old]
            adding = [pool.submit(add, f"{way}-{round_}") for way in ("up", "down")]
            old = [future.result(2 * TIMEOUT_S) for future in adding]
            for future in purging:
                future.result(2 * TIMEOUT_S)
        finish_all(database)
        assert [account.account(database, each).done for each in old] == [300, 300]
        assert num_rows(database) == {"submission": 2, "submission_job": 600, "job": 300, "summary": 300}
        assert invariants.violations(database) == []


def test_a_source_whose_submission_is_purged_while_it_is_read_is_told_to_come_again(database: Engine) -> None:
    submission_id = finished(database, "a")
    purge(database, submission_id)
    with pytest.raises(NotFoundError, match="Submit the source again"):
        intake.add_jobs(database, submission_id, [new_job("b", position=1)])


def test_a_submission_that_is_read_on_while_its_row_is_to_go_stays(database: Engine) -> None:
    submission_id = finished(database, "a")
    retention.empty(database, submission_id)
    with ThreadPoolExecutor(2) as pool, stopped_at(database, "INSERT INTO job") as (reached, go_on):
        adding = pool.submit(intake.add_jobs, database, submission_id, [new_job("b", position=1)])
        assert reached.wait(TIMEOUT_S)
        dropping = pool.submit(retention.drop_empty, database, [submission_id])
        assert waits(dropping)
        go_on.set()
        assert (adding.result(TIMEOUT_S).num_added, dropping.result(TIMEOUT_S)) == (1, 0)

    assert account.account(database, submission_id).waiting == 1


def test_the_same_source_opened_while_its_submission_is_deleted_is_a_new_submission(database: Engine) -> None:
    old = finished(database, "a")
    with ThreadPoolExecutor(2) as pool, stopped_at(database, "DELETE FROM submission ") as (reached, go_on):
        purging = pool.submit(purge, database, old)
        assert reached.wait(TIMEOUT_S)
        opening = pool.submit(submit, database, "a")
        assert waits(opening)
        go_on.set()
        purging.result(TIMEOUT_S)
        new = opening.result(TIMEOUT_S)

    assert [record.id for record in account.submissions(database)] == [new]
    assert account.account(database, new).waiting == 1


def test_what_is_queued_again_during_a_purge_stops_it(database: Engine) -> None:
    submission_id = finished(database, "a", "b", "c")
    assert retention.empty(database, submission_id, max_places=1).num_conversations == 1
    control.redo(database, "")

    with pytest.raises(retention.SubmissionOpenError):
        retention.empty(database, submission_id, max_places=1)
    assert account.account(database, submission_id).waiting == 2
    assert invariants.violations(database) == []
