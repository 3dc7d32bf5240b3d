"""Deleting what is kept no longer: what goes, and what stays."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from aftercall.database import now, reading
from aftercall.errors import NotFoundError
from aftercall.ledger import account, control, delivery, intake, invariants, retention, work
from aftercall.models import Base, Job, JobState, Submission, SubmissionJob, Summary
from producer.export import export
from tests.integration.test_ledger import LEASE, claim_all, new_job, submit, summary

DAY_S = 86_400.0


def finish_all(database: Engine) -> None:
    """Every open conversation gets a summary."""
    work.complete(database, [summary(job_id) for job_id in claim_all(database)])


def finished(database: Engine, *external_ids: str, digest: str = "source") -> int:
    """A submission whose conversations all have a summary."""
    submission_id = submit(database, *external_ids, digest=digest)
    finish_all(database)
    return submission_id


def purge(database: Engine, *submission_ids: int, max_places: int = 2) -> int:
    """Delete submissions in transactions of a few places; returns how many conversations went."""
    num_deleted = 0
    for submission_id in submission_ids:
        while (deleted := retention.empty(database, submission_id, max_places)).num_places:
            num_deleted += deleted.num_conversations
    retention.drop_empty(database, submission_ids)
    return num_deleted


def age(database: Engine, submission_id: int, days: float) -> None:
    """As if it had been submitted days ago."""
    with database.begin() as connection:
        aged = update(Submission).where(Submission.id == submission_id)
        connection.execute(aged.values(created_at=now() - days * DAY_S))


def num_rows(database: Engine) -> dict[str, int]:
    """How many rows the tables have that a purge deletes from."""
    with reading(database) as connection:
        return {
            table.__tablename__: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Submission, SubmissionJob, Job, Summary)
        }


def texts(database: Engine) -> set[str]:
    """The conversations that are in the ledger."""
    with reading(database) as connection:
        return set(connection.execute(select(Job.text)).scalars())


# -- what goes and what stays


def test_a_purged_submission_leaves_nothing_and_its_neighbour_everything(database: Engine) -> None:
    old = finished(database, "a", "b", "c", digest="old")
    kept = finished(database, "b", "d", digest="kept")
    before = list(account.results(database, kept))

    assert retention.weigh(database, [old]) == retention.Holdings(num_conversations=2, num_summaries=2, num_shared=1)
    assert purge(database, old) == 2
    assert num_rows(database) == {"submission": 1, "submission_job": 2, "job": 2, "summary": 2}
    assert list(account.results(database, kept)) == before
    with pytest.raises(NotFoundError):
        account.submission(database, old)


def test_a_conversation_goes_with_the_last_submission_that_holds_it(database: Engine) -> None:
    first = finished(database, "a", digest="first")
    second = finished(database, "a", digest="second")

    assert retention.weigh(database, [first, second]) == retention.Holdings(1, 1, 0)
    assert (purge(database, first), purge(database, second)) == (0, 1)
    assert set(num_rows(database).values()) == {0}


def test_one_text_under_two_ids_is_deleted_once_whichever_transaction_sees_it(database: Engine) -> None:
    submission_id = intake.open_submission(database, "x.csv", "x")
    text = "user: the same words\nagent: the same answer\n"
    intake.add_jobs(database, submission_id, [new_job(name, text, position=place) for place, name in enumerate("abc")])
    finish_all(database)

    assert purge(database, submission_id, max_places=1) == 1
    assert set(num_rows(database).values()) == {0}


def test_every_state_of_rest_is_deleted_and_every_summary_of_a_conversation(database: Engine) -> None:
    submission_id = submit(database, "done", "failed", "cancelled")
    [done, failed, _] = claim_all(database)
    work.complete(database, [summary(done, adapter="old"), summary(done, adapter="new")])
    work.fail(database, work.JobFailure(failed, "code", "reason", is_final=True), LEASE.owner, 3, 0.0)
    control.cancel(database, submission_id)
    reopened = control.requeue(database, submission_id, [JobState.CANCELLED])
    intake.add_jobs(database, submission_id, [new_job("short", position=3, is_sufficient=False)])
    assert (reopened, retention.open_among(database, [submission_id])) == (1, {submission_id})
    control.cancel(database, submission_id)

    assert retention.open_among(database, [submission_id]) == set()
    assert retention.weigh(database, [submission_id]).num_summaries == 2
    assert purge(database, submission_id) == 4
    assert set(num_rows(database).values()) == {0}


@pytest.mark.parametrize("is_running", [False, True], ids=["waiting", "running"])
def test_a_submission_in_which_something_is_to_run_is_left_whole(database: Engine, is_running: bool) -> None:
    submission_id = submit(database, "a", "b")
    if is_running:
        claim_all(database)
    before = num_rows(database)

    with pytest.raises(retention.SubmissionOpenError, match=f"aftercall cancel {submission_id}"):
        retention.empty(database, submission_id)
    assert retention.drop_empty(database, [submission_id]) == 0
    assert num_rows(database) == before


def test_age_is_counted_from_the_day_a_source_was_submitted(database: Engine) -> None:
    old, young = finished(database, "a", digest="old"), finished(database, "b", digest="young")
    age(database, old, days=31)
    age(database, young, days=29)

    assert retention.submitted_before(database, 30 * DAY_S) == [old]


def test_more_submissions_than_a_statement_has_parameters_are_weighed(database: Engine) -> None:
    submission_id = finished(database, "a")
    many = [submission_id, *range(100_000, 170_000)]

    assert retention.weigh(database, many) == retention.Holdings(1, 1, 0)
    assert retention.open_among(database, many) == set()


def test_a_purged_file_that_is_submitted_again_is_done_again(database: Engine) -> None:
    purge(database, finished(database, "a", "b"))
    again = submit(database, "a", "b")

    assert account.account(database, again).waiting == 2
    assert len(delivery.unsent(database, 10)) == 2


def test_a_late_summary_of_a_purged_conversation_reaches_no_other(database: Engine) -> None:
    submission_id = submit(database, "a")
    [late] = claim_all(database)
    control.cancel(database, submission_id)
    purge(database, submission_id)
    another = submit(database, "b", digest="another")
    with pytest.raises(IntegrityError):
        work.complete(database, [summary(late)])

    assert another > submission_id
    assert account.account(database, another).waiting == 1
    assert num_rows(database)["summary"] == 0


# -- any mix, against a model


@examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    held=st.lists(st.sets(st.sampled_from("abcdefg"), min_size=1), min_size=1, max_size=5),
    chosen=st.sets(st.integers(0, 4)),
    left_open=st.sets(st.sampled_from("abcdefg"), max_size=1),
    max_places=st.integers(1, 4),
)
def test_what_stays_is_what_a_model_says(
    database: Engine,
    tmp_path: Path,
    held: list[set[str]],
    chosen: set[int],
    left_open: set[str],
    max_places: int,
) -> None:
    clear(database)
    ids = [submit(database, *sorted(names), digest=str(number)) for number, names in enumerate(held)]
    open_texts = {new_job(name).text for name in left_open}
    work.complete(database, [summary(job_id) for job_id in ids_of_texts(database, open_texts)])

    stays = [number for number, names in enumerate(held) if number not in chosen or names & left_open]
    is_open = retention.open_among(database, ids)
    goes = [ids[number] for number in sorted(chosen) if number < len(ids) and ids[number] not in is_open]
    kept = set().union(*(held[number] for number in stays))
    weighed = retention.weigh(database, goes)
    num_deleted = purge(database, *goes, max_places=max_places)

    lost = set().union(*held) - kept
    shared = set().union(*(held[number] for number in range(len(held)) if number not in stays)) & kept
    assert weighed == retention.Holdings(len(lost), len(lost), len(shared))
    assert num_deleted == len(lost)
    assert {record.id for record in account.submissions(database)} == {ids[number] for number in stays}
    assert texts(database) == {new_job(name).text for name in kept}
    assert num_rows(database)["summary"] == len(kept - left_open)
    assert invariants.violations(database) == []
    for number in stays:
        assert [result.external_id for result in account.results(database, ids[number])] == sorted(held[number])
        assert export(database, ids[number], tmp_path / "out.csv", "csv", with_provenance=True) == len(held[number])


def clear(database: Engine) -> None:
    """An empty ledger, once more."""
    with database.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))


def ids_of_texts(database: Engine, unwanted: set[str]) -> list[int]:
    """The jobs of all other texts."""
    with reading(database) as connection:
        return [job_id for job_id, text in connection.execute(select(Job.id, Job.text)) if text not in unwanted]
