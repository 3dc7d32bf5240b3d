"""The ledger's promises, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select

from aftercall.database import reading
from aftercall.ledger import account, control, delivery, intake, work
from aftercall.models import Job, JobState, Summary

LEASE = work.Lease("worker-1", ttl_s=60.0)
OTHER_LEASE = work.Lease("worker-2", ttl_s=60.0)


def new_job(
    external_id: str, text: str | None = None, *, position: int = 0, is_sufficient: bool = True
) -> intake.NewJob:
    text = text or f"user: my order {external_id} did not arrive\nagent: I am sorry to hear that\n"
    return intake.NewJob(external_id, position, text, intake.make_job_key(text, "1"), "1", is_sufficient)


def submit(database: Engine, *external_ids: str, digest: str = "source") -> int:
    submission_id = intake.open_submission(database, f"{digest}.csv", digest)
    jobs = [new_job(external_id, position=position) for position, external_id in enumerate(external_ids)]
    intake.add_jobs(database, submission_id, jobs)
    return submission_id


def claim_all(database: Engine, lease: work.Lease = LEASE, max_attempts: int = 3) -> list[int]:
    with reading(database) as connection:
        ids = list(connection.execute(select(Job.id)).scalars())
    # In no order of its own: PostgreSQL returns what it changed as its plan of the moment has it.
    return sorted(job.job_id for job in work.claim(database, ids, lease, max_attempts))


def summary(job_id: int, text: str = "A summary.", adapter: str = "") -> work.SummaryRecord:
    return work.SummaryRecord(
        job_id, adapter, text, "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 1.0, 0.5, "worker-1"
    )


def test_the_same_source_again_is_the_same_submission_and_adds_nothing(database: Engine) -> None:
    first = submit(database, "a", "b")
    again = intake.open_submission(database, "renamed.csv", "source")
    added = intake.add_jobs(database, again, [new_job("a", position=0), new_job("b", position=1)])

    assert again == first
    assert (added.num_added, added.num_known) == (0, 0)
    assert account.account(database, first).submitted == 2


def test_an_overlapping_source_shares_the_jobs_it_has_in_common(database: Engine) -> None:
    submit(database, "a", "b", digest="monday")
    tuesday = intake.open_submission(database, "tuesday.csv", "tuesday")
    added = intake.add_jobs(database, tuesday, [new_job("b", position=0), new_job("c", position=1)])

    assert (added.num_added, added.num_known) == (2, 1)
    assert account.account(database, tuesday).submitted == 2
    assert len(delivery.unsent(database, 10)) == 3


def test_two_sources_with_the_same_conversations_in_another_order_are_added_at_the_same_time(database: Engine) -> None:
    def add(name: str) -> int:
        submission_id = intake.open_submission(database, name, name)
        both_ready.wait()
        return intake.add_jobs(database, submission_id, jobs if name.startswith("up") else jobs[::-1]).num_added

    # Ordered by position, three rounds of ten ended in a deadlock on PostgreSQL.
    for round_ in range(5):
        jobs = [new_job(f"{round_}-{number}", position=number) for number in range(500)]
        both_ready = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(add, [f"up-{round_}", f"down-{round_}"])) == [500, 500]


def test_one_text_under_two_ids_is_done_once_and_exported_twice(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    text = "user: the same words\nagent: the same answer\n"
    intake.add_jobs(database, submission_id, [new_job("a", text, position=0), new_job("b", text, position=1)])
    [job_id] = claim_all(database)
    work.complete(database, [summary(job_id)])

    results = list(account.results(database, submission_id))
    assert [result.external_id for result in results] == ["a", "b"]
    assert all(result.summary is not None and result.summary.text == "A summary." for result in results)


def test_an_id_with_another_text_is_refused_and_leaves_no_job_behind(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    jobs = [new_job("a", "user: one\n", position=0), new_job("a", "user: two\n", position=1)]

    assert intake.add_jobs(database, submission_id, jobs).conflicts == {1}
    assert intake.add_jobs(database, submission_id, [new_job("a", "user: three\n", position=2)]).conflicts == {2}
    assert len(delivery.unsent(database, 10)) == 1


def test_nothing_to_summarize_is_an_outcome_of_its_own_and_is_never_sent(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    added = intake.add_jobs(database, submission_id, [new_job("a", "user: hi\n", is_sufficient=False)])

    assert added.num_insufficient == 1
    assert account.account(database, submission_id).insufficient == 1
    assert delivery.unsent(database, 10) == []
    assert claim_all(database) == []


def test_a_claimed_job_is_claimed_by_nobody_else_until_its_lease_runs_out(database: Engine) -> None:
    submit(database, "a")
    short = work.Lease("worker-1", ttl_s=0.0)

    assert len(claim_all(database, LEASE)) == 1
    assert claim_all(database, OTHER_LEASE) == []

    submit(database, "b", digest="later")
    assert len(claim_all(database, short)) == 1
    assert len(claim_all(database, OTHER_LEASE)) == 1


def test_a_result_counts_once_however_often_it_arrives(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database)
    work.complete(database, [summary(job_id, "first")])
    work.complete(database, [summary(job_id, "second")])

    [result] = account.results(database, submission_id)
    assert result.summary is not None
    assert result.summary.text == "first"
    assert account.account(database, submission_id).done == 1


def test_a_result_that_arrives_after_the_lease_ran_out_is_kept(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database, work.Lease("slow", ttl_s=0.0))
    assert delivery.expire(database, max_attempts=3) == 1
    work.complete(database, [summary(job_id)])

    assert account.account(database, submission_id).done == 1
    assert delivery.unsent(database, 10) == []


def test_a_summary_by_another_adapter_stands_beside_the_first_and_is_the_one_shown(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database)
    work.complete(database, [summary(job_id, "by the old one", adapter="old")])
    work.complete(database, [summary(job_id, "by the new one", adapter="new")])

    with reading(database) as connection:
        assert connection.execute(select(func.count()).select_from(Summary)).scalar_one() == 2
    [result] = account.results(database, submission_id)
    assert result.summary is not None
    assert result.summary.text == "by the new one"


def test_a_failure_is_tried_again_after_its_delay_and_rests_after_the_last_attempt(database: Engine) -> None:
    submission_id = submit(database, "a")
    for attempt in (1, 2):
        [job_id] = claim_all(database, max_attempts=2)
        work.fail(database, work.JobFailure(job_id, "engine_error", f"attempt {attempt}"), LEASE.owner, 2, 0.0)

    [result] = account.results(database, submission_id)
    assert (result.state, result.error_code, result.error) == (JobState.FAILED, "engine_error", "attempt 2")
    assert claim_all(database, max_attempts=2) == []


def test_a_failure_waits_for_its_delay(database: Engine) -> None:
    submit(database, "a")
    [job_id] = claim_all(database)
    work.fail(database, work.JobFailure(job_id, "engine_error", "x"), LEASE.owner, 3, retry_delay_s=60.0)

    assert delivery.unsent(database, 10) == []
    assert claim_all(database) == []


def test_a_final_failure_is_not_tried_again(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database)
    work.fail(database, work.JobFailure(job_id, "prompt_too_long", "x", is_final=True), LEASE.owner, 3, 0.0)

    assert account.account(database, submission_id).failed == 1


def test_a_released_job_has_lost_no_attempt(database: Engine) -> None:
    submit(database, "a")
    for _ in range(5):
        [job_id] = claim_all(database, max_attempts=1)
        assert work.release(database, [job_id], LEASE.owner) == 1

    assert len(delivery.unsent(database, 10)) == 1


def test_who_lost_a_job_can_neither_fail_nor_release_nor_keep_it(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database, work.Lease("first", ttl_s=0.0))
    claim_all(database, OTHER_LEASE)
    first = work.Lease("first", ttl_s=60.0)

    assert work.heartbeat(database, [job_id], first) == 0
    assert work.release(database, [job_id], first.owner) == 0
    work.fail(database, work.JobFailure(job_id, "x", "y"), first.owner, 1, 0.0)
    assert account.account(database, submission_id).running == 1


def test_a_worker_lost_in_the_last_attempt_fails_the_job_with_a_reason(database: Engine) -> None:
    submission_id = submit(database, "a")
    claim_all(database, work.Lease("dying", ttl_s=0.0), max_attempts=1)
    delivery.expire(database, max_attempts=1)

    [result] = account.results(database, submission_id)
    assert (result.state, result.error_code) == (JobState.FAILED, "worker_lost")


def test_a_job_whose_attempts_are_spent_is_not_claimed_however_often_its_message_comes(database: Engine) -> None:
    submit(database, "a")
    dying = work.Lease("dying", ttl_s=0.0)
    assert [len(claim_all(database, dying, max_attempts=2)) for _ in range(4)] == [1, 1, 0, 0]


def test_in_company_what_is_on_its_last_try_is_left_and_the_rest_of_its_chunk_is_claimed(database: Engine) -> None:
    submit(database, "tried")
    for _ in range(2):
        (tried,) = claim_all(database)
        work.fail(database, work.JobFailure(tried, "engine_error", "it broke"), LEASE.owner, 3, 0.0)
    submit(database, "fresh", digest="other")
    with reading(database) as connection:
        ids = list(connection.execute(select(Job.id)).scalars())

    in_company = work.claim(database, ids, LEASE, 3, has_company=True)
    assert [job.job_id for job in in_company] == [job_id for job_id in ids if job_id != tried]
    assert work.has_last_try(database, ids, 3)
    assert [job.job_id for job in work.claim(database, ids, LEASE, 3)] == [tried]
    assert not work.has_last_try(database, ids, 3), "it is held now"


def test_cancel_keeps_what_is_done_and_what_another_submission_wants(database: Engine) -> None:
    monday = submit(database, "a", "b", "c", digest="monday")
    tuesday = submit(database, "c", digest="tuesday")
    [first, *_] = claim_all(database)
    work.complete(database, [summary(first)])

    assert control.cancel(database, monday) == 1
    assert account.account(database, monday) == account.Account(
        submitted=3, waiting=0, running=1, done=1, failed=0, cancelled=1, insufficient=0
    )
    assert control.cancel(database, tuesday) == 1
    assert account.account(database, monday).open == 0


def test_a_cancelled_job_that_finishes_all_the_same_is_kept(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database)
    control.cancel(database, submission_id)
    work.complete(database, [summary(job_id)])

    assert account.account(database, submission_id).done == 1


def test_a_cancelled_submission_takes_nothing_more_until_it_is_requeued(database: Engine) -> None:
    submission_id = submit(database, "a")
    control.cancel(database, submission_id)
    with pytest.raises(intake.SubmissionCancelledError, match=f"aftercall requeue {submission_id} --cancelled"):
        intake.add_jobs(database, submission_id, [new_job("b")])

    assert control.requeue(database, submission_id, [JobState.CANCELLED]) == 1
    assert intake.add_jobs(database, submission_id, [new_job("b", position=1)]).num_added == 1
    assert account.account(database, submission_id).waiting == 2


def test_a_new_submission_queues_again_what_an_earlier_one_had_cancelled(database: Engine) -> None:
    control.cancel(database, submit(database, "a", digest="monday"))
    tuesday = submit(database, "a", digest="tuesday")

    assert account.account(database, tuesday).waiting == 1


def test_a_failed_job_that_is_requeued_has_all_its_attempts_again(database: Engine) -> None:
    submission_id = submit(database, "a")
    [job_id] = claim_all(database, max_attempts=1)
    work.fail(database, work.JobFailure(job_id, "x", "y"), LEASE.owner, 1, 0.0)

    assert control.requeue(database, submission_id, [JobState.FAILED]) == 1
    assert claim_all(database, max_attempts=1) == [job_id]


def test_what_an_old_adapter_wrote_is_done_again_and_nothing_else(database: Engine) -> None:
    submission_id = submit(database, "a", "b", "c")
    first, second, third = claim_all(database)
    work.complete(database, [summary(first, "old", adapter="old"), summary(second, "new", adapter="new")])
    work.complete(database, [summary(third, "old", adapter="old"), summary(third, "new", adapter="new")])

    assert control.count_written_by(database, "old") == 1
    assert control.redo(database, "old") == 1
    assert claim_all(database) == [first]
    work.complete(database, [summary(first, "now new", adapter="new")])
    assert control.count_written_by(database, "old") == 0
    texts = {result.summary.text for result in account.results(database, submission_id) if result.summary}
    assert texts == {"now new", "new"}


def test_what_an_adapter_writes_anew_takes_the_place_of_what_it_wrote_before(database: Engine) -> None:
    """After a rollback: A wrote, B wrote anew, and A is served again."""
    submission_id = submit(database, "a")
    (job_id,) = claim_all(database)
    work.complete(database, [summary(job_id, "by A", adapter="A")])
    for adapter, other in (("B", "A"), ("A", "B"), ("A", "A")):
        assert control.redo(database, other) == 1
        claim_all(database)
        work.complete(database, [summary(job_id, f"anew by {adapter}", adapter=adapter)])
        work.complete(database, [summary(job_id, "late and dropped", adapter=adapter)])
        (result,) = account.results(database, submission_id)
        assert result.summary
        assert (result.summary.text, result.summary.adapter_digest) == (f"anew by {adapter}", adapter)
    assert control.count_written_by(database, "B") == 0


def test_what_is_cancelled_while_it_waits_to_be_done_again_is_done_as_before(database: Engine) -> None:
    submission_id = submit(database, "a", "b")
    first, _ = claim_all(database)
    work.complete(database, [summary(first, "by A", adapter="A")])
    assert control.redo(database, "A") == 1

    assert control.cancel(database, submission_id) == 2
    done, cancelled = account.results(database, submission_id)
    assert (done.state, done.summary and done.summary.text) == ("done", "by A")
    assert (cancelled.state, cancelled.summary) == ("cancelled", None)


def test_a_submission_that_has_ended_is_not_cancelled(database: Engine) -> None:
    """The same source could not be submitted again otherwise."""
    submission_id = submit(database, "a")
    intake.close_submission(database, submission_id, num_rejected=0)
    work.complete(database, [summary(job_id) for job_id in claim_all(database)])

    assert control.cancel(database, submission_id) == 0
    assert not account.submission(database, submission_id).is_cancelled
    assert submit(database, "a", "b") == submission_id


def test_results_come_in_the_order_of_the_source(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    positions = [3, 0, 2, 1]
    intake.add_jobs(database, submission_id, [new_job(f"id-{place}", position=place) for place in positions])

    assert [result.external_id for result in account.results(database, submission_id)] == [
        "id-0", "id-1", "id-2", "id-3",
    ]  # fmt: skip


def test_all_queries_of_a_reader_see_the_same_moment(database: Engine) -> None:
    """A job that is claimed between two counts must not be missed by both."""
    submit(database, "a", "b")
    count = select(func.count()).select_from(Job).where(Job.state == JobState.RUNNING)
    with reading(database) as connection:
        before = connection.execute(count).scalar_one()
        assert len(claim_all(database)) == 2
        assert connection.execute(count).scalar_one() == before
    with reading(database) as connection:
        assert connection.execute(count).scalar_one() == 2
