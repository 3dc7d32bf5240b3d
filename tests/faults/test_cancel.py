"""Cancelling while workers run: what is finished is kept, nothing more is begun, and others' work goes on."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.cli import main
from aftercall.ledger import account
from aftercall.ledger.account import Account
from aftercall.settings import Settings
from tests.fixtures.workers import (
    WorkerStarter,
    assert_never,
    expected_summaries,
    pass_time,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(80)]


def cancel(submission_id: int, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command does."""
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["cancel", str(submission_id)])
    assert ended.value.code == 0


def test_what_another_submission_wants_too_goes_on(
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    start_worker: WorkerStarter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monday = submit_file(write_source(tmp_path / "monday.csv", IDS[:64]), database, settings)
    tuesday = submit_file(write_source(tmp_path / "tuesday.csv", IDS[48:]), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
    begun = set(worker.num_calls)
    cancel(monday.submission_id, settings, monkeypatch)
    worker.hold.unlink()

    assert wait_until_finished(database, tuesday.submission_id).done == 32
    assert summaries_by_id(database, tuesday.submission_id) == expected_summaries(IDS[48:])
    kept = {external_id for external_id in IDS[:48] if any(f" {external_id} " in turn for turn in begun)}
    num_kept = len(kept) + 16
    wait_until(lambda: account.account(database, monday.submission_id).done == num_kept, "what ran is kept")
    assert account.account(database, monday.submission_id) == Account(
        submitted=64, waiting=0, running=0, done=num_kept, failed=0, cancelled=64 - num_kept, insufficient=0
    )
    written = {external_id for external_id, text in summaries_by_id(database, monday.submission_id).items() if text}
    assert written == kept | set(IDS[48:64])
    assert set(worker.num_calls.values()) == {1}


@pytest.mark.parametrize("poison", ["POISON", "KILL"])
def test_what_fails_or_loses_its_worker_after_that_is_not_tried_again(
    poison: str,
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    start_worker: WorkerStarter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:15], poison]), database, settings)
    worker = start_worker(is_held=True)
    wait_until(lambda: worker.num_calls.total() == 16, "the chunk in the engine")
    cancel(report.submission_id, settings, monkeypatch)
    worker.hold.unlink()
    num_done = 15 if poison == "POISON" else 0
    if poison == "KILL":
        assert worker.wait() == -9
    wait_until(lambda: account.account(database, report.submission_id).done == num_done, "what could be done")
    # Its lease and its wait for another attempt are over.
    pass_time(database, settings.lease_s)
    start_worker()
    late = submit_file(write_source(tmp_path / "late.csv", ["late"]), database, settings)
    assert wait_until_finished(database, late.submission_id).done == 1
    assert_never(lambda: start_worker.num_calls.total() > 17, "begun again", 1.5)
    assert account.account(database, report.submission_id) == Account(
        submitted=16, waiting=0, running=0, done=num_done, failed=0, cancelled=16 - num_done, insufficient=0
    )
