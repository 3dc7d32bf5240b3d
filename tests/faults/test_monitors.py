"""What someone with access to Redis can ask a worker for: how much it does, and none of the customers' words."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.broker import create_app
from aftercall.settings import Settings
from tests.fixtures.workers import WorkerStarter, submit_file, wait_until, wait_until_finished, write_source

IDS = [f"C-{number:03d}" for number in range(16)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_question_to_a_worker_is_answered_with_customers_words(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "1", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 16, "a chunk in the engine")

    with closing(create_app(settings)) as app:
        inspect = app.control.inspect(timeout=5.0)
        active = inspect.active()
        assert active is not None
        ((task,),) = active.values()
        answers = [active, inspect.reserved(), inspect.scheduled(), inspect.query_task(task["id"])]
    assert "16 conversations" in task["args"]
    assert "did not arrive yet" not in repr(answers)

    worker.hold.unlink()
    assert wait_until_finished(database, report.submission_id).done == len(IDS)
