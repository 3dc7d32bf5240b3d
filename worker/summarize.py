"""A chunk's way through the worker: claim, prompt, complete, check, write. Knows no Celery and no Redis."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.ledger import work
from aftercall.ledger.intake import make_job_key
from aftercall.ledger.work import ClaimedJob, JobFailure, SummaryRecord
from aftercall.message import Chunk, ChunkJob
from aftercall.prompt import extract_summary
from aftercall.settings import Settings
from worker.engine.base import Completion, PromptFailure
from worker.isolation import Isolation
from worker.lease import LeaseKeeper
from worker.prompts import TokenizedPrompt, fit, tokenize_whole
from worker.served import Served
from worker.spool import Spool

logger = logging.getLogger(__name__)

#: Waits between tries to reach a database that is away; the last one repeats.
RETRY_WAITS_S = (0.5, 1.0, 2.0, 5.0)

#: Failures that the same conversation would meet again.
FINAL_CODES = frozenset({"prompt_too_long", "unreadable_conversation"})

Outcome = SummaryRecord | JobFailure
T = TypeVar("T")


class Summarizer:
    """Takes chunks from several threads at once; their prompts share the engine's batch."""

    def __init__(
        self,
        database: Engine,
        served: Served,
        leases: LeaseKeeper,
        settings: Settings,
        on_engine_lost: Callable[[], None],
    ) -> None:
        self._database = database
        self._served = served
        self._leases = leases
        self._settings = settings
        self._on_engine_lost = on_engine_lost
        self._owner = leases.lease.owner
        self._spool = Spool(settings.data_dir / "spool")
        self._isolation = Isolation()
        self._is_stopping = threading.Event()

    def summarize(self, chunk: Chunk) -> None:
        """Summarize what of the chunk is still to be done: each job gets a summary, a reason, or goes back untried."""
        job_ids = [job.job_id for job in chunk.jobs]
        max_attempts = self._settings.max_attempts
        is_last_try = self._insist(lambda: work.is_last_try(self._database, job_ids, max_attempts))
        # Claimed inside: who waits to be alone must not lose its last attempt to what is in there.
        with self._isolation.alone() if is_last_try else self._isolation.together():
            claimed = self._insist(lambda: work.claim(self._database, job_ids, self._leases.lease, max_attempts))
            held = self._release_foreign(claimed, {job.job_id: job for job in chunk.jobs})
            with self._leases.holding([job.job_id for job, _ in held]):
                self._process(held)

    def replay_spool(self) -> None:
        """Write what an earlier process finished while the database was away."""
        for path, summaries in self._spool.files():
            work.complete(self._database, summaries)
            path.unlink()
            logger.info("wrote %d summaries from the spool", len(summaries))

    def stop(self) -> None:
        """Let what runs come back at once, untried; what is finished is still written."""
        self._is_stopping.set()
        self._served.engine.close()

    def _release_foreign(
        self, claimed: Sequence[ClaimedJob], sent: Mapping[int, ChunkJob]
    ) -> list[tuple[ClaimedJob, ChunkJob]]:
        """Keep the jobs whose conversation is the one that was sent.

        A message that outlived its ledger, say one that was restored from a backup, names other conversations by the
        same numbers: those go back, and the sweep sends them anew.
        """
        held = [(job, sent[job.job_id]) for job in claimed]
        own = [(job, it) for job, it in held if job.job_key == make_job_key(it.text, job.cleaner_version)]
        if foreign := sorted({job.job_id for job in claimed} - {job.job_id for job, _ in own}):
            logger.warning(
                "a message of another ledger: %d of its conversations are not those of the jobs", len(foreign)
            )
            self._insist(lambda: work.release(self._database, foreign, self._owner))
        return own

    def _process(self, jobs: Sequence[tuple[ClaimedJob, ChunkJob]]) -> None:
        prompts: list[TokenizedPrompt] = []
        prompted: list[ClaimedJob] = []
        failures: list[JobFailure] = []
        tokenizer, max_tokens = self._served.tokenizer, self._served.engine.max_prompt_tokens
        whole = tokenize_whole([job.text for _, job in jobs], tokenizer) if jobs else []
        for (claimed, job), token_ids in zip(jobs, whole, strict=True):
            try:
                prompts.append(fit(job.text, token_ids, tokenizer, max_tokens))
                prompted.append(claimed)
            except ValueError as error:
                failures.append(self._failure(claimed.job_id, "unreadable_conversation", str(error)))
        completions = self._generate(prompts)
        outcomes = [
            self._check(job, prompt, completion)
            for job, prompt, completion in zip(prompted, prompts, completions, strict=True)
        ]
        self._write([*failures, *outcomes])

    def _generate(self, prompts: Sequence[TokenizedPrompt]) -> list[Completion | PromptFailure]:
        """One outcome a prompt, also if the engine as a whole is lost: then this process has to end."""
        if not prompts:
            return []
        try:
            return self._served.engine.generate([prompt.token_ids for prompt in prompts])
        except Exception as error:
            logger.exception("the engine is lost, this worker ends and is to be started again")
            self._on_engine_lost()
            return [PromptFailure("engine_lost", f"the engine was lost: {error}") for _ in prompts]

    def _check(
        self, job: ClaimedJob, prompt: TokenizedPrompt, completion: Completion | PromptFailure
    ) -> SummaryRecord | JobFailure:
        """A completion that passes becomes a summary; everything else has a reason."""
        if isinstance(completion, PromptFailure):
            return self._failure(job.job_id, completion.code, completion.reason)
        text = extract_summary(completion.text)
        if not text:
            return self._failure(job.job_id, "empty_summary", "the model wrote nothing before it ended")
        return SummaryRecord(
            job_id=job.job_id,
            text=text,
            cleaner_version=job.cleaner_version,
            num_prompt_tokens=completion.num_prompt_tokens,
            num_completion_tokens=completion.num_completion_tokens,
            finish_reason=completion.finish_reason,
            coverage=prompt.coverage,
            duration_s=completion.duration_s,
            worker=self._owner,
            **self._served.provenance,
        )

    def _failure(self, job_id: int, code: str, reason: str) -> JobFailure:
        # Decoded greedily, the same prompt comes to the same nothing every time.
        is_final = code in FINAL_CODES or (code == "empty_summary" and not self._served.sampling.do_sample)
        return JobFailure(job_id, code, reason, is_final)

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        summaries = [outcome for outcome in outcomes if isinstance(outcome, SummaryRecord)]
        self._complete(summaries)
        aborted = [outcome.job_id for outcome in outcomes if _is_aborted(outcome)]
        if aborted:
            self._insist(lambda: work.release(self._database, aborted, self._owner))
        for outcome in outcomes:
            if isinstance(outcome, JobFailure) and not _is_aborted(outcome):
                self._fail(outcome)

    def _complete(self, summaries: Sequence[SummaryRecord]) -> None:
        """Write summaries; while the database is away, keep them on disk and hold the work back."""
        try:
            work.complete(self._database, summaries)
        except DBAPIError as error:
            path = self._spool.keep(summaries)
            logger.warning("database away (%s): %d summaries wait in %s", error.orig, len(summaries), path)
            self._insist(lambda: work.complete(self._database, summaries))
            path.unlink(missing_ok=True)

    def _fail(self, failure: JobFailure) -> None:
        logger.warning("job %d: %s: %s", failure.job_id, failure.code, failure.reason)
        self._insist(
            lambda: work.fail(
                self._database, failure, self._owner, self._settings.max_attempts, self._settings.retry_delay_s
            )
        )

    def _insist(self, statement: Callable[[], T]) -> T:
        """Run a statement until the database takes it. Gives up, raising DBAPIError, only when the worker stops."""
        waits = iter(RETRY_WAITS_S)
        wait_s = 0.0
        while True:
            try:
                return statement()
            except DBAPIError as error:
                wait_s = next(waits, wait_s)
                logger.warning("database away (%s): next try in %g s", error.orig, wait_s)
                if self._is_stopping.wait(wait_s):
                    raise


def _is_aborted(outcome: Outcome) -> bool:
    return isinstance(outcome, JobFailure) and outcome.code == "aborted"
