"""What people are told: conversations, counted as the account counts them, and numbers of submissions without gaps."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from aftercall.ledger import account, control, intake, work
from aftercall.models import JobState
from tests.integration.test_ledger import LEASE, claim_all, new_job, submit, summary

TEXT = "user: the same words\nagent: the same answer\n"


def submit_twins(database: Engine) -> int:
    """Three conversations, two of which have the same words and so share a job."""
    submission_id = intake.open_submission(database, "x.csv", "x")
    jobs = [new_job("a", TEXT, position=0), new_job("b", TEXT, position=1), new_job("c", position=2)]
    intake.add_jobs(database, submission_id, jobs)
    return submission_id


def test_cancelled_and_queued_again_are_as_many_as_the_account_says(database: Engine) -> None:
    submission_id = submit_twins(database)
    assert control.cancel(database, submission_id) == account.account(database, submission_id).cancelled == 3

    states = [JobState.CANCELLED]
    assert control.requeue(database, submission_id, states) == account.account(database, submission_id).waiting == 3


def test_with_a_code_only_what_failed_with_it_is_counted(database: Engine) -> None:
    submission_id = submit_twins(database)
    twins, single = claim_all(database)
    for job_id, code in ((twins, "engine_error"), (single, "empty_summary")):
        work.fail(database, work.JobFailure(job_id, code, "reason", is_final=True), LEASE.owner, 3, 0.0)

    assert control.requeue(database, submission_id, [JobState.FAILED], "engine_error") == 2
    assert account.account(database, submission_id).failed == 1


def test_a_conversation_of_another_submission_is_not_counted(database: Engine) -> None:
    monday, tuesday = submit(database, "a", "b", digest="monday"), submit(database, "b", digest="tuesday")
    assert control.cancel(database, monday) == 1
    assert control.cancel(database, tuesday) == 1
    assert control.requeue(database, tuesday, [JobState.CANCELLED]) == 1


def test_what_is_queued_again_in_all_submissions_counts_in_each(database: Engine) -> None:
    submissions = [submit(database, "a", "b", digest="monday"), submit(database, "b", digest="tuesday")]
    for submission_id in submissions:
        control.cancel(database, submission_id)

    assert control.requeue(database, None, [JobState.CANCELLED]) == 3
    assert [account.account(database, each).waiting for each in submissions] == [2, 1]
    assert [record.is_cancelled for record in account.submissions(database)] == [False, False]


def test_what_is_to_be_done_again_is_as_much_as_the_account_says(database: Engine) -> None:
    submission_id = submit_twins(database)
    work.complete(database, [summary(job_id, adapter="old") for job_id in claim_all(database)])

    assert control.count_written_by(database, "old") == account.account(database, submission_id).done == 3
    assert control.redo(database, "old") == account.account(database, submission_id).waiting == 3


def test_the_same_source_again_takes_no_number(database: Engine) -> None:
    first = submit(database, "a")
    for _ in range(3):
        assert submit(database, "a") == first
    assert submit(database, "b", digest="another") == first + 1


def test_one_source_opened_by_many_at_once_is_one_submission(database: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = [pool.submit(intake.open_submission, database, f"{number}.csv", "x") for number in range(8)]
    assert len({future.result() for future in opened}) == 1
    assert len(account.submissions(database)) == 1
