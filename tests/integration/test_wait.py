"""`aftercall wait`, `submit --wait` and `export --require-done` on real servers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from aftercall.ledger import account, pace
from aftercall.models import Worker
from aftercall.settings import Settings
from producer.standing import read_standings
from tests.fixtures.command import Answer
from tests.fixtures.json_schemas import read_valid
from tests.fixtures.workers import WorkerStarter, conversation_text, submit_file, wait_until, write_source

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def submit(folder: Path, database: Engine, settings: Settings, *ids: str) -> int:
    """Submit conversations; one named poison fails."""
    text = {"poison": "Customer: POISON my order did not arrive yet\n"}
    source = write_source(folder / f"{ids[0]}.csv", ids, lambda each: text.get(each, conversation_text(each)))
    return submit_file(source, database, settings).submission_id


def test_waiting_ends_with_what_became_of_the_work(
    command: Callable[..., Answer], database: Engine, settings: Settings, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    submit(tmp_path, database, settings, "a", "b")
    timed_out = command("wait", "--latest", "--timeout", "1s")
    assert timed_out.exit_code == 15
    assert "0 of 2 finished" in timed_out.output
    assert "time is up" in timed_out.output
    refused = command("export", "--latest", "--require-done", "--out", "results.csv")
    assert (refused.exit_code, Path("results.csv").exists()) == (16, False)
    assert "2 conversations are open" in refused.errors

    start_worker()
    done = command("wait", "1", "--json", "--deadline", "2100-01-01T00:00")
    told = read_valid("wait", done.output)
    assert (done.exit_code, told["time_up"], told["total"]["done"]) == (0, False, 2)
    assert told["submissions"][0]["deadline"]["verdict"] == "met"
    assert command("export", "--latest", "--require-done", "--out", "results.csv").exit_code == 0

    submit(tmp_path, database, settings, "c", "poison")
    failed = command("wait")
    assert failed.exit_code == 10
    assert "submission 2 (c.csv): 1 done, 1 failed; done at" in failed.output


def test_submit_waits_for_what_it_submitted(
    command: Callable[..., Answer], start_worker: WorkerStarter, tmp_path: Path
) -> None:
    start_worker()
    answer = command("submit", "--wait", "--json", str(write_source(tmp_path / "night.csv", ["a", "b"])))
    told = read_valid("submit", answer.output)
    assert answer.exit_code == 0
    assert told["status"]["total"]["done"] == 2


def test_a_passed_deadline_ends_the_waiting(
    command: Callable[..., Answer], database: Engine, settings: Settings, tmp_path: Path
) -> None:
    submit(tmp_path, database, settings, "a")
    answer = command("wait", "--deadline", "2000-01-01T05:30")
    assert answer.exit_code == 15
    assert "missed the deadline" in answer.output


def test_numbers_and_the_latest_are_not_asked_for_together(command: Callable[..., Answer], database: Engine) -> None:
    answer = command("wait", "1", "--latest")
    assert answer.exit_code == 2
    assert "not both" in answer.errors


def test_the_estimate_counts_those_alive_and_names_those_that_are_down(
    database: Engine, settings: Settings, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    first = start_worker()
    submit(tmp_path, database, settings, *(f"a{number}" for number in range(20)))
    wait_until(lambda: account.account(database, 1).open == 0, "all done")
    first.kill()
    with database.begin() as connection:
        connection.execute(update(Worker).values(seen_at=Worker.seen_at - 40))
    held = start_worker(is_held=True)
    wait_until(lambda: pace.pace(database).num_alive == 1, "the second worker alive")
    submit(tmp_path, database, settings, "b")

    # The one alive finished nothing yet: what the killed one achieved is no estimate.
    standing = read_standings(database, deadline_at=1.0).submissions[1]
    assert (standing.estimate.pace.num_down, standing.estimate.pace.rate) == (1, None)
    assert standing.estimate.sentence.endswith(": 1 of 2 workers are down")

    held.hold.unlink()
    wait_until(lambda: pace.pace(database).rate is not None, "a rate of the second worker")
    wait_until(lambda: account.account(database, 2).open == 0, "all done")
    assert read_standings(database).submissions[1].has_ended
