"""A chunk's way through the worker: claim, prompt, complete, check, write. Knows no Celery and no Redis."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.conversation import parse_turns, render_turns
from aftercall.database_errors import describe
from aftercall.ledger import work
from aftercall.ledger.intake import make_job_key
from aftercall.ledger.work import ClaimedJob, JobFailure, SummaryRecord
from aftercall.logs import event
from aftercall.message import Chunk, ChunkJob
from aftercall.redaction import redact_summary
from aftercall.settings import Settings
from worker.engine.base import ABORTED, Completion, PromptFailure
from worker.jobs.recorder import Outcome, Recorder, Untried
from worker.jobs.spool import Finished
from worker.jobs.tries import Asked, Result, complete
from worker.serving.isolation import Isolation
from worker.serving.prompts import PromptEncoder
from worker.serving.served import Served, Serving
from worker.upkeep.engine_watchdog import EngineWatchdog
from worker.upkeep.leases import LeaseKeeper

logger = logging.getLogger(__name__)

#: How long a worker whose engine hangs tries to write that down before it ends.
RECORD_HUNG_TIMEOUT_S = 10.0

#: Failures that the same conversation would meet again.
FINAL_CODES = frozenset({"prompt_too_long", "unreadable_conversation", "not_a_number", "one_sided"})


_ONE_SIDED = "only one side wrote; set AFTERCALL_ONE_SIDED to summarize to have a summary all the same"


@dataclass(frozen=True, slots=True)
class _Prompted:
    """A claimed job and the prompt of its conversation."""

    job: ClaimedJob
    asked: Asked


class Summarizer:
    """Takes chunks from several threads at once; their prompts share the engine's batch."""

    def __init__(
        self,
        database: Engine,
        serving: Serving,
        leases: LeaseKeeper,
        settings: Settings,
        on_engine_lost: Callable[[], None],
        on_engine_hung: Callable[[], None],
    ) -> None:
        self._database = database
        self._serving = serving
        self._leases = leases
        self._settings = settings
        self._on_engine_lost = on_engine_lost
        self._on_engine_hung = on_engine_hung
        self._owner = leases.lease.owner
        self._prompts = PromptEncoder(serving.now.tokenizer, serving.now.profile)
        self._recorder = Recorder(database, self._owner, settings)
        self._isolation = Isolation()
        self._watch = EngineWatchdog(settings.engine_timeout_s)
        self._watch.start(self._give_up)

    def summarize(self, chunk: Chunk) -> None:
        """Summarize what of the chunk is still to be done: each job gets a summary, a reason, or goes back untried."""
        with self._isolation.together():
            num_claimed = self._take(chunk, has_company=True)
        # The rest is done, or another's; or it has one try left, and is to be alone in the engine for that.
        if num_claimed < len(chunk.jobs) and self._has_last_try(chunk):
            with self._isolation.alone():
                self._take(chunk, has_company=False)

    @property
    def num_done(self) -> int:
        """How many conversations got their summary."""
        return self._recorder.num_done

    def replay_spool(self) -> None:
        """Write what an earlier process finished while the database was away."""
        self._recorder.replay_spool()

    def stop(self) -> None:
        """Let what runs come back at once, untried; what is finished is still written."""
        self._recorder.stop()
        self._serving.close()

    def _has_last_try(self, chunk: Chunk) -> bool:
        job_ids = [job.job_id for job in chunk.jobs]
        return self._recorder.retry_until_available(
            lambda: work.has_last_try(self._database, job_ids, self._settings.max_attempts)
        )

    def _take(self, chunk: Chunk, has_company: bool) -> int:
        """Claim what is free of the chunk and see it through. Returns how many jobs that was.

        Called inside the isolation: who waits to be alone must not lose its last attempt to what is in there.
        """
        sent = {job.job_id: job for job in chunk.jobs}
        lease, max_attempts = self._leases.lease, self._settings.max_attempts
        claimed = self._recorder.retry_until_available(
            lambda: work.claim(self._database, list(sent), lease, max_attempts, has_company)
        )
        held = self._keep_own(claimed, sent)
        with self._leases.holding([job.job_id for job, _ in held]):
            self._process(held)
        return len(claimed)

    def _keep_own(
        self, claimed: Sequence[ClaimedJob], sent: Mapping[int, ChunkJob]
    ) -> list[tuple[ClaimedJob, ChunkJob]]:
        """Keep the jobs whose conversation is the one that was sent, and release the others.

        A message that outlived its ledger, say one that was restored from a backup, names other conversations by the
        same numbers: those go back, and the sweep sends them anew.
        """
        own: list[tuple[ClaimedJob, ChunkJob]] = []
        foreign: list[int] = []
        for job in claimed:
            if job.job_key == make_job_key(sent[job.job_id].text, job.cleaner_version):
                own.append((job, sent[job.job_id]))
            else:
                foreign.append(job.job_id)
        if foreign:
            logger.warning(
                "a message of another ledger: %d of its conversations are not those of the jobs",
                len(foreign),
                extra=event("foreign_message", jobs=foreign),
            )
            self._recorder.release(foreign)
        return own

    def _process(self, jobs: Sequence[tuple[ClaimedJob, ChunkJob]]) -> None:
        prompted, failures = self._prompt(jobs)
        # No other adapter takes over before the last of these is complete: what wrote them is what `served` says.
        # Watched from outside: an exchange that hangs holds them up as an engine does.
        with self._watch.calling([each.job.job_id for each in prompted]), self._serving.using() as served:
            results = complete(served, [each.asked for each in prompted], partial(self._generate, served))
        outcomes = [self._finish(*pair, served) for pair in zip(prompted, results, strict=True)]
        self._recorder.write([*failures, *outcomes])

    def _prompt(self, jobs: Sequence[tuple[ClaimedJob, ChunkJob]]) -> tuple[list[_Prompted], list[JobFailure]]:
        """The jobs with their prompts, cut to the context; what no prompt can be made of fails."""
        prompted: list[_Prompted] = []
        failures: list[JobFailure] = []
        max_tokens = self._serving.now.engine.max_prompt_tokens
        whole = self._prompts.encode_whole([sent.text for _, sent in jobs]) if jobs else []
        for (job, sent), token_ids in zip(jobs, whole, strict=True):
            try:
                turns = parse_turns(sent.text)
                prompt = self._prompts.fit(sent.text, token_ids, max_tokens)
            except ValueError as error:
                failures.append(self._failure(job.job_id, "unreadable_conversation", str(error)))
                continue
            if self._settings.one_sided == "refuse" and len({turn.speaker for turn in turns}) < 2:
                failures.append(self._failure(job.job_id, "one_sided", _ONE_SIDED))
            else:
                prompted.append(_Prompted(job, Asked(turns, prompt)))
        return prompted, failures

    def _generate(
        self, served: Served, prompts: Sequence[Sequence[int]], draws: Sequence[int]
    ) -> list[Completion | PromptFailure]:
        """One outcome a prompt, also if the engine as a whole is lost: then this process has to end."""
        try:
            return served.engine.generate(prompts, draws)
        except Exception as error:
            lost = event("engine_lost", conversations=len(prompts))
            logger.exception("the engine is lost, this worker ends and is to be started again", extra=lost)
            self._on_engine_lost()
            return [PromptFailure("engine_lost", f"the engine was lost: {error}") for _ in prompts]

    def _give_up(self, job_ids: Sequence[int]) -> None:
        """Count the attempts and end this process: the engine hangs, and no thread can be stopped."""
        logger.error(
            "the engine was silent for %g s, this worker ends and is restarted",
            self._settings.engine_timeout_s,
            extra=event("engine_hung", jobs=list(job_ids)),
        )
        # The database may hang too, and this process must end all the same.
        recording = threading.Thread(target=self._record_hung, args=(job_ids,), name="record hung jobs", daemon=True)
        recording.start()
        recording.join(RECORD_HUNG_TIMEOUT_S)
        self._on_engine_hung()

    def _record_hung(self, job_ids: Sequence[int]) -> None:
        reason = f"the engine gave no answer for {self._settings.engine_timeout_s:g} s while it held the conversation"
        try:
            for job_id in job_ids:
                self._recorder.record(JobFailure(job_id, "engine_hung", reason))
        except DBAPIError as error:
            away = event("database_away", jobs=list(job_ids))
            logger.warning(
                "database away (%s): the leases of %d jobs will expire", describe(error), len(job_ids), extra=away
            )

    def _finish(self, prompted: _Prompted, result: Result, served: Served) -> Outcome:
        """A usable completion becomes a summary; everything else has a reason, or goes back untried."""
        job, turns = prompted.job, prompted.asked.turns
        if isinstance(result, PromptFailure):
            if result.code == ABORTED:
                return Untried(job.job_id)
            return self._failure(job.job_id, result.code, result.reason)
        completion, checked = result.completion, result.checked
        if not checked.written.text:
            return self._failure(job.job_id, "empty_summary", "the model wrote nothing before it ended")
        if not result.is_usable:
            return self._failure(job.job_id, "degenerate", "the model repeated itself instead of ending")
        redact = partial(redact_summary, conversation=render_turns(turns), cleaner_version=job.cleaner_version)
        written = {name: redact(text) for name in ("issue", "action", "follow_up") if (text := checked.columns[name])}
        record = SummaryRecord(
            job_id=job.job_id,
            text=redact(checked.written.text),
            cleaner_version=job.cleaner_version,
            num_prompt_tokens=completion.num_prompt_tokens,
            num_completion_tokens=completion.num_completion_tokens,
            finish_reason=completion.finish_reason,
            coverage=prompted.asked.prompt.coverage,
            duration_s=completion.duration_s,
            worker=self._owner,
            **served.columns,
            **(checked.columns | written),
        )
        return Finished(job.job_key, record)

    def _failure(self, job_id: int, code: str, reason: str) -> JobFailure:
        # Decoded greedily, the same prompt comes to the same nothing every time.
        is_alike = not self._serving.now.sampling.do_sample
        is_final = code in FINAL_CODES or (is_alike and code in ("empty_summary", "degenerate"))
        return JobFailure(job_id, code, reason, is_final)
