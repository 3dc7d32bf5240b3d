"""Who writes which summary: the served adapter, the one that a submission asked for, a canary, and next to it a shadow.

All of them share the engine's batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aftercall.ledger.rollouts import Kind, Rollout
from aftercall.ledger.rollouts import Result as Compared
from aftercall.ledger.work import ClaimedJob, JobFailure
from worker.engine.base import PromptFailure
from worker.jobs.recorder import Outcome
from worker.jobs.spool import Finished
from worker.jobs.tries import Asked, Generate, Result, complete
from worker.serving.held import Held
from worker.serving.served import Served

#: Code of a job whose adapter this worker can't serve.
UNAVAILABLE: Final = "adapter_unavailable"

_NO_POOL = "this worker serves one adapter only"

#: Failures that are the fault of the adapter that wrote.
FAULTS: Final = frozenset({"empty_summary", "degenerate", "not_a_number"})


@dataclass(frozen=True, slots=True)
class Prompted:
    """A claimed job and the prompt of its conversation."""

    job: ClaimedJob
    asked: Asked


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written, or was written, for a job."""

    prompted: Prompted
    #: Digest of the adapter that writes it; empty: the base model alone.
    adapter_digest: str
    #: The canary or shadow that concerns it. Of a canary also the drafts of the served adapter, for comparison.
    rollout: Rollout | None = None

    @property
    def is_shadow(self) -> bool:
        """Whether it is only compared and never exported."""
        return self.rollout is not None and self.rollout.kind is Kind.SHADOW

    @property
    def is_canary(self) -> bool:
        """Whether a canary writes it in place of the served adapter."""
        rollout = self.rollout
        return rollout is not None and rollout.kind is Kind.CANARY and self.adapter_digest == rollout.adapter_digest


def plan_drafts(prompted: Sequence[Prompted], served: Served, rollouts: Sequence[Rollout]) -> Iterator[Draft]:
    """One draft a job by the adapter whose turn it is, and another by a shadow for its share."""
    digest = served.provenance.adapter_digest
    # Started when another adapter was served, it would be compared with the wrong one.
    current = {each.kind: each for each in rollouts if each.served_digest == digest != each.adapter_digest}
    canary, shadow = current.get(Kind.CANARY), current.get(Kind.SHADOW)
    for each in prompted:
        if each.job.adapter_digest is not None:
            yield Draft(each, each.job.adapter_digest)
            continue
        is_drawn = canary is not None and canary.draws(each.job.job_key)
        yield Draft(each, canary.adapter_digest if canary and is_drawn else digest, canary)
        if shadow is not None and shadow.draws(each.job.job_key):
            yield Draft(each, shadow.adapter_digest, shadow)


def write_drafts(drafts: Sequence[Draft], served: Served, generate: Generate) -> Iterator[tuple[Draft, Result]]:
    """Each draft with what came of it.

    What a canary can't write here, the served adapter writes; what a shadow can't, is left out.
    """
    digest = served.provenance.adapter_digest
    others = sorted({draft.adapter_digest for draft in drafts} - {digest})
    if not others or served.pool is None:
        yield from _write(drafts, served, Held({digest: ""}, dict.fromkeys(others, _NO_POOL)), generate)
        return
    for first in range(0, len(others), served.pool.max_adapters):
        group = others[first : first + served.pool.max_adapters]
        theirs = [d for d in drafts if d.adapter_digest in group or (first == 0 and d.adapter_digest == digest)]
        with served.pool.holding(group, served.provenance) as held:
            yield from _write(theirs, served, held, generate)


def is_only_compared(draft: Draft, outcome: Outcome) -> bool:
    """Whether an outcome doesn't concern the job: a shadow's, or what a canary wrote in vain."""
    return draft.is_shadow or (draft.is_canary and isinstance(outcome, JobFailure))


def find_result(draft: Draft, outcome: Outcome) -> Compared | None:
    """What the comparison of a rollout needs to know that isn't in a summary."""
    if draft.rollout is None:
        return None
    result = Compared(draft.rollout.id, draft.prompted.job.job_id, draft.adapter_digest)
    if isinstance(outcome, JobFailure):
        return replace(result, failure=outcome.code) if outcome.code in FAULTS else None
    if not draft.is_shadow or not isinstance(outcome, Finished):
        return None
    summary = outcome.summary
    return replace(
        result,
        text=summary.text,
        needs_review=summary.needs_review,
        reasons=summary.reasons,
        finish_reason=summary.finish_reason,
        num_completion_tokens=summary.num_completion_tokens,
    )


def _write(drafts: Sequence[Draft], served: Served, held: Held, generate: Generate) -> Iterator[tuple[Draft, Result]]:
    digest = served.provenance.adapter_digest
    settled = [
        replace(draft, adapter_digest=digest) if draft.is_canary and draft.adapter_digest in held.refused else draft
        for draft in drafts
        if not (draft.is_shadow and draft.adapter_digest in held.refused)
    ]
    for draft in settled:
        if draft.adapter_digest in held.refused:
            yield draft, PromptFailure(UNAVAILABLE, held.refused[draft.adapter_digest])
    writable = [draft for draft in settled if draft.adapter_digest not in held.refused]
    asked = [replace(draft.prompted.asked, adapter=held.names[draft.adapter_digest]) for draft in writable]
    yield from zip(writable, complete(served, asked, generate), strict=True)
