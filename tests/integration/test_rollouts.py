"""Canaries and shadows in the ledger, on both databases."""

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from aftercall.database import reading
from aftercall.ledger import delivery, intake, retention, rollouts, work
from aftercall.ledger.rollout_figures import FAILED, LENGTH, REVIEW, count_arms
from aftercall.ledger.rollouts import Kind, Result, Rollout, State
from aftercall.models import RolloutResult
from training.registry import history


def fill(database: Engine, name: str, num: int, adapter_digest: str | None = None) -> tuple[int, list[int]]:
    """A submission of so many conversations; returns its number and their jobs."""
    number = intake.open_submission(database, name, name)
    texts = [f"user: {name} {each} is late\nagent: sorry\n" for each in range(num)]
    jobs = [
        intake.NewJob(str(each), each, text, intake.make_job_key(text, "1", adapter_digest), "1", True, adapter_digest)
        for each, text in enumerate(texts)
    ]
    intake.add_jobs(database, number, jobs)
    intake.close_submission(database, number, 0)
    sent = [unsent.job.job_id for unsent in delivery.unsent(database, 1_000)]
    return number, [job.job_id for job in work.claim(database, sent, work.Lease("worker", 60.0), 3)]


def complete(database: Engine, job_id: int, digest: str, *, is_flagged: bool = False, num_tokens: int = 20) -> None:
    record = work.SummaryRecord(
        job_id, digest, "Late.", "base", "none", "float32", "1", "1", "{}", 30, num_tokens, "stop", 1.0, 0.5, "worker",
        needs_review=is_flagged,
    )  # fmt: skip
    work.complete(database, [record])


def begin(database: Engine, kind: Kind = Kind.CANARY, digest: str = "new") -> Rollout:
    rollouts.begin(database, "base", kind, digest, "old", 0.1)
    return next(each for each in rollouts.running(database, "base") if each.kind is kind)


def test_one_of_a_kind_runs_and_is_ended_once(database: Engine) -> None:
    rollout = begin(database)
    with pytest.raises(IntegrityError):
        rollouts.begin(database, "base", Kind.CANARY, "third", "old", 0.1)
    begin(database, Kind.SHADOW)
    rollouts.begin(database, "another base", Kind.CANARY, "new", "old", 0.1)
    assert rollouts.stop(database, rollout, State.WORSE, "too many loops")
    assert not rollouts.stop(database, rollout, State.STOPPED, "by hand")
    assert [(each.state, each.reason) for each in rollouts.every(database, "base")] == [
        (State.RUNNING, None), (State.WORSE, "too many loops"),
    ]  # fmt: skip
    with database.begin() as connection:
        rollouts.end_all(connection, "base", "new")
    assert rollouts.running(database, "base") == []
    with reading(database) as connection:
        actions = [entry.change.action.value for entry in history.read(connection)]
    assert actions == ["canary", "shadow", "canary", "canary worse", "shadow promoted"]


def test_of_all_workers_one_looks_in_an_interval(database: Engine) -> None:
    rollout = begin(database)
    assert not rollouts.take_check(database, rollout.id, 30.0), "it has only just begun"
    assert [rollouts.take_check(database, rollout.id, -1.0) for _ in range(2)] == [True, True]
    rollouts.stop(database, rollout, State.STOPPED, "by hand")
    assert not rollouts.take_check(database, rollout.id, -1.0)


def test_the_arms_are_counted_from_the_beginning_without_what_was_asked_for(database: Engine) -> None:
    _, [before] = fill(database, "before", 1)
    complete(database, before, "new", is_flagged=True)
    rollout = begin(database)
    _, [first, second, third, fourth] = fill(database, "night", 4)
    complete(database, first, "new", is_flagged=True)
    complete(database, second, "old", num_tokens=3)
    complete(database, third, "old", is_flagged=True)
    rollouts.record(database, [Result(rollout.id, fourth, "new", failure="degenerate")] * 2)
    complete(database, fourth, "old")
    _, [asked] = fill(database, "asked", 1, "new")
    complete(database, asked, "new", is_flagged=True)
    canary, served = count_arms(database, rollout)
    assert (canary.num_conversations, dict(canary.num_flagged)) == (2, {REVIEW: 1, FAILED: 1, LENGTH: 0})
    assert (served.num_conversations, dict(served.num_flagged)) == (3, {REVIEW: 1, FAILED: 0, LENGTH: 1})


def test_a_purge_takes_what_a_shadow_wrote_along(database: Engine) -> None:
    rollout = begin(database, Kind.SHADOW)
    number, [job_id] = fill(database, "night", 1)
    complete(database, job_id, "old")
    rollouts.record(database, [Result(rollout.id, job_id, "new", text="A secret.")])
    while retention.empty(database, number).num_places:
        pass
    with reading(database) as connection:
        assert connection.execute(select(RolloutResult.text)).all() == []
