"""The verdict on a night: what is lost, repeated, swapped or wrong in the ledger, each with its id.

Reads tables and files only, and believes no count that the product kept on the way.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.ledger import account
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary
from bench.campaign.night import Export, expected_state, expected_summary

#: How a worker may end: killed, told to stop (before it listens, too), because a server was away when it started, or
#: because it saw itself that it takes no more messages. A traceback, exit code 1, is none of these.
EXPECTED_EXITS = frozenset(
    {"was killed by SIGKILL", "was killed by SIGTERM", *(f"ended with exit code {code}" for code in (0, 6, 7, 75))}
)


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation of a submission as the ledger has it."""

    external_id: str
    position: int
    job_id: int
    state: str
    attempts: int
    lease_owner: str | None


def check_ledger(engine: Engine, exports: Sequence[Export]) -> list[str]:
    """A sentence for everything that is not as it has to be; none if the night was good."""
    return [*_check_submissions(engine, exports), *_check_jobs(engine, exports), *_check_summaries(engine)]


def check_workers(log: str, spool: Path) -> list[str]:
    """What a worker must not do: die by itself, lose a thread, leave finished summaries lying."""
    ended = Counter(re.findall(r"^aftercall: \S+ ((?:ended|was killed).*?);", log, re.MULTILINE))
    wrongs = [f"{num} workers {how}" for how, num in ended.items() if how not in EXPECTED_EXITS]
    wrongs += [f"in a worker: {line}" for line in sorted(set(re.findall(r"Exception in thread.*", log)))]
    return wrongs + [f"not written from the spool: {path.name}" for path in spool.glob("*.json")]


def check_imported(marker: Path) -> list[str]:
    """What of the workers' folder was imported; nothing may be."""
    names = sorted(set(marker.read_text().split())) if marker.exists() else []
    return [f"imported from the current folder: {name}" for name in names]


def _check_submissions(engine: Engine, exports: Sequence[Export]) -> Iterator[str]:
    with reading(engine) as connection:
        names = [(row.id, row.name) for row in connection.execute(select(Submission.id, Submission.name))]
    found = Counter(name for _, name in names)
    expected = {export.path.name: export for export in exports}
    yield from (f"{name}: submitted {found[name]} times" for name in expected if found[name] != 1)
    yield from (f"{name}: nobody submitted that" for name in found if name not in expected)
    for submission_id, name in names:
        if name in expected:
            yield from (f"{name}: {wrong}" for wrong in _check_submission(engine, submission_id, expected[name]))


def _check_submission(engine: Engine, submission_id: int, export: Export) -> Iterator[str]:
    standing = account.account(engine, submission_id)
    states = Counter(expected_state(external_id) for external_id in export.external_ids)
    due = (states[JobState.DONE], states[JobState.FAILED], 0, states[JobState.INSUFFICIENT], 0)
    is_so = (standing.done, standing.failed, standing.cancelled, standing.insufficient, standing.open)
    if is_so != due or standing.submitted != len(export.external_ids):
        yield f"the account does not add up to {len(export.external_ids)}: {standing}"
    shown = {result.external_id: result.summary for result in account.results(engine, submission_id)}
    yield from (f"{external_id} is lost" for external_id in export.external_ids if external_id not in shown)
    for external_id, summary in shown.items():
        if (summary and summary.text) != expected_summary(external_id):
            yield f"{external_id} shows {summary and summary.text!r}"


def _check_jobs(engine: Engine, exports: Sequence[Export]) -> Iterator[str]:
    ids = {external_id for export in exports for external_id in export.external_ids}
    query = select(
        SubmissionJob.external_id, SubmissionJob.position, Job.id, Job.state, Job.attempts, Job.lease_owner
    ).join(Job)
    with reading(engine) as connection:
        rows = [Row(*row) for row in connection.execute(query)]
        num_jobs = len(connection.execute(select(Job.id)).all())
    if num_jobs != len(ids):
        yield f"{num_jobs} jobs for {len(ids)} conversations"
    for row in {row.job_id: row for row in rows}.values():
        if row.state != expected_state(row.external_id):
            yield f"{row.external_id} (job {row.job_id}) is {row.state} after {row.attempts} attempts"
        if row.lease_owner is not None:
            yield f"{row.external_id} (job {row.job_id}) is at rest and held by {row.lease_owner}"


def _check_summaries(engine: Engine) -> Iterator[str]:
    """Every summary under its own conversation, none twice, none without a job."""
    summaries = (
        select(Summary.job_id, Summary.text, SubmissionJob.external_id)
        .outerjoin(SubmissionJob, SubmissionJob.job_id == Summary.job_id)
        .distinct()
    )
    with reading(engine) as connection:
        rows = connection.execute(summaries).all()
        nums = Counter(connection.execute(select(Summary.job_id)).scalars())
    yield from (f"job {job_id} has {num} summaries" for job_id, num in nums.items() if num > 1)
    for job_id, text, external_id in rows:
        if external_id is None:
            yield f"a summary of job {job_id}, which nobody submitted"
        elif text != expected_summary(external_id):
            yield f"{external_id} (job {job_id}) has the summary {text!r}"
