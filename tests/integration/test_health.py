"""The health check of a worker's container."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

from sqlalchemy import Engine, update

from aftercall.ledger import workers
from aftercall.ledger.workers import WorkerRecord
from aftercall.models import Worker
from aftercall.settings import Settings


def ask(settings: Settings) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker.health"],
        env={**os.environ, **settings.to_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_worker_of_this_host_makes_it_healthy_while_it_sends_heartbeats(settings: Settings, database: Engine) -> None:
    worker = WorkerRecord(f"aftercall-gpu0/{socket.gethostname()}/1", "0.1.0", 1, "0005", "phi-1_5", None)
    elsewhere = replace(worker, name="aftercall-gpu0/elsewhere/1")
    workers.record_heartbeat(database, elsewhere)
    code, said = ask(settings)
    assert (code, "has sent a heartbeat" in said) == (1, True)

    workers.record_heartbeat(database, worker)
    assert ask(settings) == (0, "")

    with database.begin() as connection:
        connection.execute(update(Worker).values(seen_at=Worker.seen_at - 30))
    assert ask(settings)[0] == 1


def test_a_database_that_is_down_makes_it_unhealthy_with_a_sentence(settings: Settings) -> None:
    code, said = ask(settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/nothing"}))
    assert code == 7
    assert "Traceback" not in said
