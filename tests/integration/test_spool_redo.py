"""The spool beside a redo: what an old adapter left in a file is not taken for what the new one is to write."""

from sqlalchemy import Engine

from aftercall.ledger import account, control, work
from aftercall.settings import Settings
from tests.integration.test_ledger import claim_all, new_job, submit, summary
from worker.jobs.recorder import Recorder
from worker.jobs.spool import Finished, Spool


def test_a_file_that_was_stored_before_does_not_end_a_redo(database: Engine, settings: Settings) -> None:
    submission_id = submit(database, "a", "b")
    first, second = claim_all(database)
    Spool(settings.spool_dir).keep([finished("a", first, "old"), finished("b", second, "old")])
    # The first one's other worker was quicker; the second one's summary is in the file alone.
    work.complete(database, [summary(first, "by the old one", adapter="old")])
    assert control.redo(database, "old") == 1
    Recorder(database, "worker", settings).replay_spool()

    assert (account.account(database, submission_id).waiting, account.account(database, submission_id).done) == (1, 1)
    assert not list(settings.spool_dir.iterdir())
    work.complete(database, [summary(first, "by the new one", adapter="new")])
    texts = [result.summary.text for result in account.results(database, submission_id) if result.summary]
    assert texts == ["by the new one", "Finished last night."]


def test_what_is_written_is_counted_and_what_is_refused_is_not(database: Engine, settings: Settings) -> None:
    submit(database, "a", "b")
    first, second = claim_all(database)
    recorder = Recorder(database, "worker-1", settings)
    recorder.write([finished("a", first, ""), finished("b", 1_000_000, "")])
    assert recorder.num_done == 1
    recorder.write([finished("b", second, "")])
    assert recorder.num_done == 2


def finished(external_id: str, job_id: int, adapter: str) -> Finished:
    return Finished(new_job(external_id).job_key, summary(job_id, "Finished last night.", adapter=adapter))
