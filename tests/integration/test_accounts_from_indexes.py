"""Accounts that are counted from indexes equal a count of all rows, whatever happens at the same time."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sqlalchemy import Engine, text, update
from sqlalchemy.exc import IntegrityError

from aftercall.errors import NotFoundError
from aftercall.ledger import account, control, delivery, erasure, intake, invariants, places, retention, work
from aftercall.models import Job, JobState, Priority, SubmissionJob
from producer.doctor import ledger as doctor
from producer.doctor.finding import Level
from tests.integration.test_ledger import new_job, submit

NAMES = [f"c{number}" for number in range(12)]
SOURCES = ("monday", "tuesday", "wednesday")
NUM_THREADS = 6
NUM_STEPS = 40


def assert_counted(database: Engine) -> None:
    """Index and rows agree, and every promise holds."""
    assert account.accounts(database) == account.recount(database)
    assert invariants.violations(database) == []


def something(database: Engine, seed: int) -> None:
    """One after the other, what may happen to jobs, by chance."""
    chance = random.Random(seed)
    lease = work.Lease(f"worker-{seed}", 600.0 if seed % 2 else 0.0)
    for _ in range(NUM_STEPS):
        source, names = chance.choice(SOURCES), chance.sample(NAMES, 4)
        number = intake.open_submission(database, source, source, chance.choice(list(Priority)))
        job_ids = chance.sample(range(1, 60), 12)
        match chance.randrange(9):
            case 0 | 1:
                _ignoring(intake.add_jobs, database, number, [new_job(name, position=0) for name in names])
            case 2:
                work.claim(database, job_ids, lease, 3)
            case 3:
                claimed = work.claim(database, job_ids, lease, 3)
                # One that was erased meanwhile has no row to write its summary to.
                for job in claimed:
                    _ignoring(work.complete, database, [_summary(job.job_id)])
            case 4:
                for job in work.claim(database, job_ids[:3], lease, 3):
                    work.fail(database, work.JobFailure(job.job_id, "code", "why", True), lease.owner, 3, 0.0)
            case 5:
                control.cancel(database, number)
                control.requeue(database, number, [JobState.FAILED, JobState.CANCELLED])
            case 6:
                control.prioritize(database, number, chance.choice(list(Priority)))
                delivery.mark_sent(database, [entry.job.job_id for entry in delivery.unsent(database, 5)])
            case 7:
                erasure.erase(database, chance.choice(names), [number])
            case 8:
                control.cancel(database, number)
                _ignoring(retention.empty, database, number, 3)
                delivery.expire(database, 3)


def _ignoring(call: object, *args: object) -> None:
    """Some are refused: the submission was cancelled or purged, or is open."""
    with suppress(intake.SubmissionCancelledError, retention.SubmissionOpenError, NotFoundError, IntegrityError):
        call(*args)  # type: ignore[operator]


def _summary(job_id: int) -> work.SummaryRecord:
    return work.SummaryRecord(
        job_id, "", "text", "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 1.0, 0.5, "worker"
    )


def test_many_at_once_never_miscount(database: Engine) -> None:
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for done in [pool.submit(something, database, seed) for seed in range(NUM_THREADS)]:
            done.result()
    assert_counted(database)


def test_a_job_finds_another_home_when_its_first_submission_is_purged(database: Engine) -> None:
    monday, tuesday = submit(database, "a", "b", digest="monday"), submit(database, "b", "c", digest="tuesday")
    control.cancel(database, monday)
    control.cancel(database, tuesday)
    assert retention.empty(database, monday).num_conversations == 1
    assert_counted(database)
    assert account.account(database, tuesday).cancelled == 2


def test_a_text_that_occurs_twice_is_counted_when_its_first_place_is_erased(database: Engine) -> None:
    number = intake.open_submission(database, "x.csv", "x")
    intake.add_jobs(database, number, [new_job("a", "user: same\n"), new_job("b", "user: same\n", position=1)])
    assert account.account(database, number).waiting == 2
    erasure.erase(database, "a", [number])
    assert_counted(database)
    assert account.account(database, number).waiting == 1


def test_doctor_finds_and_repairs_a_miscount(database: Engine) -> None:
    number = submit(database, "a", "b", "c")
    with database.begin() as connection:
        connection.execute(update(Job).where(Job.id == 1).values(submission_id=77))
    found = [each.sentence for each in doctor.findings(database) if each.level is Level.ERROR]
    assert any("miscounted in submission 1, 77: `aftercall doctor --repair`" in each for each in found)
    assert any("jobs that no account counts" in each for each in found)

    assert places.repair(database) == 1
    assert_counted(database)
    with database.begin() as connection:
        connection.execute(update(SubmissionJob).where(SubmissionJob.job_id == 2).values(is_guest=True))
    assert account.account(database, number).waiting == 4

    assert places.repair(database) == 1
    assert_counted(database)
    assert account.account(database, number).waiting == 3
    assert places.repair(database) == 0


def test_a_state_that_does_not_exist_leaves_the_account_unbalanced(database: Engine) -> None:
    number = submit(database, "a", "b")
    with database.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'lost' WHERE id = 1"))
    standing = account.account(database, number)
    assert (standing.submitted, standing.waiting, standing.is_balanced) == (2, 1, False)
