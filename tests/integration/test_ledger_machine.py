"""The ledger against a model in plain Python: any order of what can happen to jobs, and the account adds up."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, case, delete, func, select

from aftercall.database import reading
from aftercall.ledger import account, control, delivery, erasure, intake, invariants, pace, retention, work
from aftercall.models import Base, Job, JobState, Priority, Submission, SubmissionJob, Summary

MAX_ATTEMPTS = 2
#: By lease: live ones last for the test, dead ones have run out at once.
LEASES = {
    owner: work.Lease(owner, 0.0 if owner.startswith("dead") else 600.0) for owner in ("live-1", "live-2", "dead")
}

names = st.sampled_from("abcd")
sources = st.sampled_from(["monday", "tuesday"])
owners = st.sampled_from(sorted(LEASES))
priorities = st.sampled_from(list(Priority))


@dataclass
class ModelJob:
    """What the model knows of a job."""

    job_id: int
    state: JobState = JobState.QUEUED
    attempts: int = 0
    owner: str = ""
    has_summary: bool = False

    @property
    def is_free(self) -> bool:
        """Whether a claim takes it."""
        is_at_hand = self.state == JobState.QUEUED or (self.state == JobState.RUNNING and self.is_expired)
        return is_at_hand and self.attempts < MAX_ATTEMPTS

    @property
    def is_expired(self) -> bool:
        """Whether its lease ran out."""
        return self.owner == "dead"

    def rest(self, state: JobState) -> None:
        """Nobody holds it any more."""
        self.state, self.owner = state, ""


@dataclass
class ModelSubmission:
    """What the model knows of a submission."""

    submission_id: int
    members: set[str] = field(default_factory=set)
    is_cancelled: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """Four conversations, two sources, three workers of which one always dies."""

    database: Engine

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(delete(table))
        self.jobs: dict[str, ModelJob] = {}
        self.submissions: dict[str, ModelSubmission] = {}

    # -- submit, cancel, requeue

    @rule(source=sources, chosen=st.sets(names, min_size=1), priority=priorities)
    def submit(self, source: str, chosen: set[str], priority: Priority) -> None:
        submission_id = intake.open_submission(self.database, source, source, priority)
        submission = self.submissions.setdefault(source, ModelSubmission(submission_id))
        new_jobs = [_new_job(name) for name in sorted(chosen)]
        if submission.is_cancelled:
            with pytest.raises(intake.SubmissionCancelledError):
                intake.add_jobs(self.database, submission_id, new_jobs)
            return
        added = intake.add_jobs(self.database, submission_id, new_jobs)

        assert added.num_added == len(chosen - submission.members)
        assert added.num_known == len((chosen - submission.members) & self.jobs.keys())
        self._find_ids()
        for name in chosen - submission.members:
            if self.jobs[name].state == JobState.CANCELLED:
                self.jobs[name].rest(JobState.QUEUED)
        submission.members |= chosen

    @rule(source=sources, priority=priorities)
    def prioritize(self, source: str, priority: Priority) -> None:
        if (submission := self.submissions.get(source)) is not None:
            control.prioritize(self.database, submission.submission_id, priority)
            assert account.submission(self.database, submission.submission_id).priority == priority

    @rule(source=sources, name=names)
    def erase(self, source: str, name: str) -> None:
        if (submission := self.submissions.get(source)) is None:
            return
        erased = erasure.erase(self.database, name, [submission.submission_id])
        assert erased.num_places == (name in submission.members)
        submission.members.discard(name)
        if not any(name in other.members for other in self.submissions.values()):
            self.jobs.pop(name, None)

    @rule(source=sources)
    def cancel(self, source: str) -> None:
        if (submission := self.submissions.get(source)) is None:
            return
        wanted = {
            name
            for other in self.submissions.values()
            if other is not submission and not other.is_cancelled
            for name in other.members
        }
        stopped = [
            job for name, job in self.jobs.items()
            if name in submission.members - wanted and job.state in (JobState.QUEUED, JobState.RUNNING)
        ]  # fmt: skip
        assert control.cancel(self.database, submission.submission_id) == len(stopped)
        submission.is_cancelled = True
        for job in stopped:
            job.rest(JobState.CANCELLED)

    @rule(source=sources, states=st.sets(st.sampled_from([JobState.FAILED, JobState.CANCELLED]), min_size=1))
    def requeue(self, source: str, states: set[JobState]) -> None:
        if (submission := self.submissions.get(source)) is None:
            return
        resting = [self.jobs[name] for name in submission.members if self.jobs[name].state in states]
        assert control.requeue(self.database, submission.submission_id, states) == len(resting)
        submission.is_cancelled = submission.is_cancelled and JobState.CANCELLED not in states
        for job in resting:
            job.rest(JobState.QUEUED)
            job.attempts = 0

    @rule(source=sources)
    def purge(self, source: str) -> None:
        if (submission := self.submissions.get(source)) is None:
            return
        submission_id = submission.submission_id
        if any(self.jobs[name].state in (JobState.QUEUED, JobState.RUNNING) for name in submission.members):
            assert retention.open_among(self.database, [submission_id]) == {submission_id}
            with pytest.raises(retention.SubmissionOpenError):
                retention.empty(self.database, submission_id)
            return
        del self.submissions[source]
        held = {name for other in self.submissions.values() for name in other.members}
        assert retention.open_among(self.database, [submission_id]) == set()
        assert retention.empty(self.database, submission_id).num_conversations == len(submission.members - held)
        assert retention.drop_empty(self.database, [submission_id]) == 1
        for name in submission.members - held:
            del self.jobs[name]

    # -- what workers do

    @rule(owner=owners, chosen=st.sets(names, min_size=1))
    def claim(self, owner: str, chosen: set[str]) -> None:
        asked = {self.jobs[name].job_id: self.jobs[name] for name in chosen & self.jobs.keys()}
        expected = {job_id for job_id, job in asked.items() if job.is_free}
        claimed = work.claim(self.database, list(asked), LEASES[owner], MAX_ATTEMPTS)

        assert {job.job_id for job in claimed} == expected
        for each in claimed:
            job = asked[each.job_id]
            job.state, job.owner, job.attempts = JobState.RUNNING, owner, job.attempts + 1

    @rule(owner=owners)
    def heartbeat(self, owner: str) -> None:
        held = self._held_by(owner)
        assert work.heartbeat(self.database, self._all_ids(), LEASES[owner]) == len(held)

    @rule(chosen=st.sets(names, min_size=1))
    def complete(self, chosen: set[str]) -> None:
        """Whoever held it, and whatever became of it meanwhile: a result is kept."""
        finished = [self.jobs[name] for name in chosen & self.jobs.keys()]
        work.complete(self.database, [_summary(job.job_id) for job in finished])
        for job in finished:
            job.rest(JobState.DONE)
            job.has_summary = True

    @rule(owner=owners, name=names, is_final=st.booleans())
    def fail(self, owner: str, name: str, is_final: bool) -> None:
        if (job := self.jobs.get(name)) is None:
            return
        work.fail(self.database, work.JobFailure(job.job_id, "code", "reason", is_final), owner, MAX_ATTEMPTS, 0.0)
        if job in self._held_by(owner):
            job.rest(JobState.FAILED if is_final or job.attempts >= MAX_ATTEMPTS else JobState.QUEUED)

    @rule(owner=owners)
    def release(self, owner: str) -> None:
        held = self._held_by(owner)
        assert work.release(self.database, self._all_ids(), owner) == len(held)
        for job in held:
            job.rest(JobState.QUEUED)
            job.attempts -= 1

    # -- what the sweep does

    @rule()
    def expire(self) -> None:
        lost = [job for job in self.jobs.values() if job.state == JobState.RUNNING and job.is_expired]
        assert delivery.expire(self.database, MAX_ATTEMPTS) == len(lost)
        for job in lost:
            job.rest(JobState.FAILED if job.attempts >= MAX_ATTEMPTS else JobState.QUEUED)

    @rule()
    def send(self) -> None:
        unsent = [entry.job.job_id for entry in delivery.unsent(self.database, 100)]
        delivery.mark_sent(self.database, unsent)
        queued = {job.job_id for job in self.jobs.values() if job.state == JobState.QUEUED}

        assert set(unsent) <= queued
        assert delivery.num_sent(self.database).total() == len(queued)

    # -- what always holds

    @invariant()
    def states_are_those_of_the_model(self) -> None:
        with reading(self.database) as connection:
            rows = connection.execute(select(Job.id, Job.state, Job.attempts)).all()
        expected = {(job.job_id, job.state.value, job.attempts) for job in self.jobs.values()}
        assert {tuple(row) for row in rows} == expected

    @invariant()
    def accounts_add_up(self) -> None:
        by_id = account.accounts(self.database)
        for submission in self.submissions.values():
            standing = account.account(self.database, submission.submission_id)
            assert (standing.submitted, standing.is_balanced) == (len(submission.members), True)
            assert by_id.pop(submission.submission_id) == standing
        assert by_id == {}

    @invariant()
    def what_is_counted_from_indexes_is_what_the_rows_say(self) -> None:
        assert account.accounts(self.database) == account.recount(self.database)
        ended = case((Job.finished_at >= Submission.created_at, Job.finished_at))
        is_worked = Job.state.in_((JobState.DONE, JobState.FAILED))
        query = (
            select(SubmissionJob.submission_id, func.min(ended), func.max(ended), func.count(case((is_worked, ended))))
            .join(Job, Job.id == SubmissionJob.job_id)
            .join(Submission, Submission.id == SubmissionJob.submission_id)
            .group_by(SubmissionJob.submission_id)
        )
        with reading(self.database) as connection:
            expected = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        spans = {number: span for number, (_, span) in pace.tallies(self.database).items()}
        assert {number: (span.first_at, span.last_at, span.num_worked) for number, span in spans.items()} == expected

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert invariants.violations(self.database) == []

    @invariant()
    def every_done_job_has_one_summary(self) -> None:
        with reading(self.database) as connection:
            rows = connection.execute(select(Summary.job_id, func.count()).group_by(Summary.job_id)).all()
        assert {tuple(row) for row in rows} == {(job.job_id, 1) for job in self.jobs.values() if job.has_summary}

    def _held_by(self, owner: str) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.state == JobState.RUNNING and job.owner == owner]

    def _all_ids(self) -> list[int]:
        return [job.job_id for job in self.jobs.values()]

    def _find_ids(self) -> None:
        with reading(self.database) as connection:
            ids = dict(connection.execute(select(Job.text, Job.id)).all())
        for text, job_id in ids.items():
            self.jobs.setdefault(text.removeprefix("user: ").strip(), ModelJob(job_id))


def _new_job(name: str) -> intake.NewJob:
    text = f"user: {name}\n"
    return intake.NewJob(name, ord(name), text, intake.make_job_key(text, "1"), "1", is_sufficient=True)


def _summary(job_id: int) -> work.SummaryRecord:
    return work.SummaryRecord(
        job_id, "", "text", "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 1.0, 0.5, "worker"
    )


@pytest.fixture
def machine(database: Engine) -> Iterator[type[LedgerMachine]]:
    """The machine on this test's database."""
    yield type("Machine", (LedgerMachine,), {"database": database})


def test_the_ledger_does_what_the_model_does(machine: type[LedgerMachine]) -> None:
    is_quick = machine.database.dialect.name == "sqlite"
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=15 if is_quick else 8,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
