"""How a canary's summaries compare with those of the served adapter in the same time. Only reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, case, func, or_, select

from aftercall.database import reading
from aftercall.ledger.rollouts import Rollout
from aftercall.models import Job, RolloutResult, Summary

#: A summary of fewer tokens says nothing.
MIN_TOKENS = 8

#: What counts against an adapter, in words.
REVIEW = "need review"
FAILED = "came to nothing"
LENGTH = "were cut at the token limit or too short"
FLAGS = (REVIEW, FAILED, LENGTH)


@dataclass(frozen=True, slots=True)
class Arm:
    """What one adapter did, in conversations."""

    num_conversations: int
    #: By flag.
    num_flagged: Mapping[str, int]

    def share(self, flag: str) -> float:
        """Of its conversations, 0 to 1."""
        return self.num_flagged[flag] / max(self.num_conversations, 1)


def count_arms(engine: Engine, rollout: Rollout) -> tuple[Arm, Arm]:
    """The canary's conversations and the served adapter's, since the canary began.

    Conversations whose submission asked for an adapter count for neither.
    """
    is_odd = or_(Summary.finish_reason == "length", Summary.num_completion_tokens < MIN_TOKENS)
    written = (
        select(
            Summary.adapter_digest,
            func.count().label("num"),
            func.count(case((Summary.needs_review.is_(True), 1))).label("review"),
            func.count(case((is_odd, 1))).label("length"),
        )
        .join(Job, Job.id == Summary.job_id)
        .where(
            # The primary key, so that only the time of the canary is read.
            Summary.id > rollout.after_summary_id,
            Summary.base_model == rollout.base_model,
            Summary.adapter_digest.in_([rollout.adapter_digest, rollout.served_digest]),
            Job.adapter_digest.is_(None),
        )
        .group_by(Summary.adapter_digest)
    )
    failed = (
        select(RolloutResult.adapter_digest, func.count())
        .where(RolloutResult.rollout_id == rollout.id, RolloutResult.failure.is_not(None))
        .group_by(RolloutResult.adapter_digest)
    )
    with reading(engine) as connection:
        rows = {row.adapter_digest: row for row in connection.execute(written)}
        failures = dict(connection.execute(failed).all())

    def arm(digest: str) -> Arm:
        row, num_failed = rows.get(digest), failures.get(digest, 0)
        num, review, length = (row.num, row.review, row.length) if row else (0, 0, 0)
        return Arm(num + num_failed, {REVIEW: review, FAILED: num_failed, LENGTH: length})

    return arm(rollout.adapter_digest), arm(rollout.served_digest)
