"""A cancel and a submit, or two cancels, at the same moment: what nobody wants stops, what somebody wants goes on."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, update

from aftercall.ledger import account, control, intake
from aftercall.models import Job, JobState
from tests.fixtures.workers import TIMEOUT_S
from tests.integration.test_ledger import new_job, submit
from tests.integration.test_purge_race import waits


@contextmanager
def stopped_before_commit(database: Engine) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the thread that is the first to commit; yields `reached` and `go_on`."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(connection: object) -> None:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(TIMEOUT_S)

    event.listen(database, "commit", hold)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        event.remove(database, "commit", hold)


def test_what_is_added_while_its_submission_is_cancelled_is_cancelled_with_it(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    jobs = [new_job("a", position=0), new_job("b", position=1)]
    with ThreadPoolExecutor(2) as pool, stopped_before_commit(database) as (reached, go_on):
        adding = pool.submit(intake.add_jobs, database, submission_id, jobs)
        assert reached.wait(TIMEOUT_S)
        cancelling = pool.submit(control.cancel, database, submission_id)
        assert waits(cancelling)
        go_on.set()
        assert (adding.result(TIMEOUT_S).num_added, cancelling.result(TIMEOUT_S)) == (2, 2)

    assert account.account(database, submission_id).cancelled == 2


def test_a_submission_that_is_being_cancelled_takes_nothing_more(database: Engine) -> None:
    submission_id = submit(database, "a")
    with ThreadPoolExecutor(2) as pool, stopped_before_commit(database) as (reached, go_on):
        cancelling = pool.submit(control.cancel, database, submission_id)
        assert reached.wait(TIMEOUT_S)
        adding = pool.submit(intake.add_jobs, database, submission_id, [new_job("b", position=1)])
        assert waits(adding)
        go_on.set()
        assert cancelling.result(TIMEOUT_S) == 1
        with pytest.raises(intake.SubmissionCancelledError):
            adding.result(TIMEOUT_S)

    assert account.account(database, submission_id).open == 0


def test_what_another_submission_adds_while_it_is_cancelled_goes_on(database: Engine) -> None:
    wrong = submit(database, "a", "b", digest="wrong")
    right = intake.open_submission(database, "right.csv", "right")
    with ThreadPoolExecutor(2) as pool, stopped_before_commit(database) as (reached, go_on):
        adding = pool.submit(intake.add_jobs, database, right, [new_job("a", position=0)])
        assert reached.wait(TIMEOUT_S)
        cancelling = pool.submit(control.cancel, database, wrong)
        assert waits(cancelling)
        go_on.set()
        assert (adding.result(TIMEOUT_S).num_known, cancelling.result(TIMEOUT_S)) == (1, 1)

    assert account.account(database, right).waiting == 1


def test_of_two_submissions_cancelled_at_once_neither_leaves_the_conversation_to_the_other(database: Engine) -> None:
    monday, tuesday = (submit(database, "a", digest=name) for name in ("monday", "tuesday"))
    with ThreadPoolExecutor(2) as pool, stopped_before_commit(database) as (reached, go_on):
        first = pool.submit(control.cancel, database, monday)
        assert reached.wait(TIMEOUT_S)
        second = pool.submit(control.cancel, database, tuesday)
        assert waits(second)
        go_on.set()
        assert first.result(TIMEOUT_S) + second.result(TIMEOUT_S) == 1

    assert account.account(database, monday).open == 0


def test_to_submit_again_takes_up_what_rests_as_cancelled_in_a_submission_that_is_not(database: Engine) -> None:
    """As ledgers have it in which a cancel once met a submit."""
    submission_id = submit(database, "a", "b")
    with database.begin() as connection:
        connection.execute(update(Job).values(state=JobState.CANCELLED))

    assert submit(database, "a", "b") == submission_id
    assert account.account(database, submission_id).waiting == 2
