"""What the doctor finds, and that one part that is down hides no other."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text, update

from aftercall import __version__, cli
from aftercall.broker import Broker
from aftercall.errors import EXIT_NOT_WELL
from aftercall.ledger import delivery, work, workers
from aftercall.ledger.workers import LIVE_S, WorkerRecord
from aftercall.message import Chunk, ChunkJob
from aftercall.models import Adapter, Job, JobState
from aftercall.settings import Settings
from producer.doctor import machine
from producer.doctor.examine import examine
from producer.doctor.finding import Level
from tests.fixtures.breakable import BreakableRedis
from tests.fixtures.workers import submit_file, wait_until, write_source
from worker.jobs.spool import Spool

IDS = [f"C-{number:03d}" for number in range(20)]
WORKER = WorkerRecord("aftercall-gpu0/host/1", "0.1.0", 1, "0005", "smollm2-135m-instruct", "")


def found(settings: Settings, level: Level) -> dict[str, list[str]]:
    """The sentences of one level, by subject."""
    by_subject: dict[str, list[str]] = {}
    for finding in examine(settings):
        if finding.level == level:
            by_subject.setdefault(finding.subject, []).append(finding.sentence)
    return by_subject


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lost message is lost at once."""
    return settings.model_copy(update={"lost_after_s": 0.1})


@pytest.fixture(autouse=True)
def enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full the disk is on which the tests run is not the question."""
    monkeypatch.setattr(machine, "LOW_DISK_BYTES", 0)
    monkeypatch.setattr(machine, "NO_DISK_BYTES", 0)


@pytest.fixture
def night(tmp_path: Path, settings: Settings, database: Engine) -> Settings:
    """Twenty conversations submitted and sent, a worker alive."""
    submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    workers.record_heartbeat(database, WORKER)
    return settings


def test_a_night_that_runs_well(night: Settings) -> None:
    assert found(night, Level.ERROR) == {}
    assert found(night, Level.WARNING) == {}
    fine = found(night, Level.OK)
    assert fine["account"] == [
        "20 submitted = 0 done + 0 failed + 0 cancelled + 0 insufficient + 20 waiting + 0 running."
    ]
    assert fine["queue"] == ["2 messages wait with 20 different conversations, as the ledger has it."]
    assert fine["redis"][0].startswith("valkey 9.")
    assert fine["workers"][0].startswith("aftercall-gpu0/host/1 (aftercall 0.1.0) serves smollm2-135m-instruct")
    assert {"database", "promises", "leases", "adapter", "disk", "spool", "model"} <= fine.keys()


def test_without_redis_the_rest_is_looked_at(night: Settings) -> None:
    away = night.model_copy(update={"redis_url": "redis://:secret@127.0.0.1:1/0"})
    errors = found(away, Level.ERROR)
    assert list(errors) == ["redis"]
    assert "secret" not in errors["redis"][0]
    assert {"database", "account", "promises", "disk"} <= found(away, Level.OK).keys()


@pytest.mark.parametrize("url", ["foo", "redis://h:port/0", "http://x", "unix:///run/redis"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_with_an_unusable_redis_url_the_rest_is_looked_at(url: str, night: Settings) -> None:
    away = night.model_copy(update={"redis_url": url})
    errors = found(away, Level.ERROR)
    assert list(errors) == ["redis"]
    assert "Correct AFTERCALL_REDIS_URL" in errors["redis"][0]
    assert {"database", "account", "adapter", "disk", "spool", "model"} <= found(away, Level.OK).keys()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_data_folder_that_is_a_file_is_an_error(night: Settings, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text("")
    assert "is not a folder" in found(night.model_copy(update={"data_dir": odd}), Level.ERROR)["disk"][0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_the_database_the_rest_is_looked_at(night: Settings) -> None:
    away = night.model_copy(update={"database_url": "postgresql://u:secret@127.0.0.1:1/db"})
    errors = found(away, Level.ERROR)
    assert list(errors) == ["database"]
    assert "does not answer" in errors["database"][0]
    assert "secret" not in errors["database"][0]
    fine = found(away, Level.OK)
    assert {"redis", "disk", "spool", "model"} <= fine.keys()
    assert "adapter" not in fine, "the one that ships may not be the one that is served"
    assert "can't be seen while the database is unavailable" in found(away, Level.WARNING)["adapter"][0]


def test_no_ledger_is_made_by_looking_for_one(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new", redis_url="redis://127.0.0.1:1/0")
    assert "`aftercall submit` creates it" in found(settings, Level.WARNING)["database"][0]
    assert not settings.data_dir.exists()


def test_work_without_a_worker_is_an_error_and_a_silent_worker_a_warning(night: Settings, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE worker SET seen_at = seen_at - 30"))
    (sentence,) = found(night, Level.WARNING)["workers"]
    age = re.search(r"silent for (\d+) s", sentence)
    assert age and 30 <= int(age[1]) < LIVE_S
    workers.remove(database, WORKER.name)
    assert "20 conversations wait and no worker is alive" in found(night, Level.ERROR)["workers"][0]


def test_workers_of_one_queue_that_hold_different_models_are_named(
    night: Settings, database: Engine, aftercall: Callable[..., tuple[int, str]]
) -> None:
    workers.remove(database, WORKER.name)
    first = WorkerRecord("a/host/1", __version__, 1, "0005", "phi-1_5", "abc", "nf4", "bfloat16", "nights")
    for worker in (first, replace(first, name="b/host/2", compute_dtype="float16")):
        workers.record_heartbeat(database, worker)
    [*_, sentence] = [each.sentence for each in examine(night) if each.subject == "workers"]
    assert (
        "those of queue nights serve different models or settings: phi-1_5 in nf4, bfloat16 (1); "
        "phi-1_5 in nf4, float16 (1)" in sentence
    )
    assert "with different models or settings" in " ".join(aftercall("status")[1].split())

    workers.record_heartbeat(database, replace(first, name="b/host/2", base_model="phi-2", queue="days"))
    sentences = [each.sentence for each in examine(night) if each.subject == "workers"]
    assert not any("different" in each for each in sentences)
    assert "different" not in aftercall("status")[1]


def test_workers_that_serve_different_adapters_are_named(night: Settings, database: Engine) -> None:
    workers.record_heartbeat(database, WorkerRecord("other/host/2", "0.0.9", 1, "0005", "smollm2-135m-instruct", "abc"))
    sentences = found(night, Level.WARNING)["workers"]
    assert "this is aftercall 0.1.0: restart it" in sentences[0]
    assert "they serve different adapters: none (1), abc (1)" in sentences[1]


def test_a_lost_message_an_unknown_one_and_an_old_lease(night: Settings, database: Engine, broker: Broker) -> None:
    broker._redis.rpop(night.queue)
    broker.send([Chunk((ChunkJob(10**6, "user: of another ledger\n"),))])
    wait_until(lambda: delivery.sent_before(database, night.lost_after_s), "old enough to be lost")
    first, second = found(night, Level.WARNING)["queue"]
    assert "messages name 1 conversations that this ledger does not have" in first
    assert "16 conversations lost their message" in second

    assert len(work.claim(database, [1, 2], work.Lease("dead", -60.0), 3)) == 2
    assert "2 conversations are held by workers without a heartbeat" in found(night, Level.WARNING)["leases"][0]


def test_messages_of_another_version_that_nobody_reads(night: Settings, broker: Broker) -> None:
    broker._redis.lpush(f"{night.queue}.v9", "{}")
    assert f"redis-cli DEL {night.queue}.v9" in found(night, Level.WARNING)["queue"][0]


def test_an_active_adapter_that_is_not_on_this_machine(night: Settings, database: Engine) -> None:
    row = {"digest": "0123456789abcdef", "base_model": night.base_model, "state": "active", "manifest": "{}"}
    with database.begin() as connection:
        connection.execute(insert(Adapter).values(row | {"path": "/elsewhere/0123456789abcdef", "created_at": 0.0}))
    (sentence,) = found(night, Level.WARNING)["adapter"]
    assert sentence.startswith("/elsewhere/0123456789abcdef, active for smollm2-135m-instruct, is not on this machine")


def test_a_spool_that_waits(night: Settings) -> None:
    Spool(night.data_dir / "spool").keep([])
    assert "1 files of finished summaries wait" in found(night, Level.WARNING)["spool"][0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_redis_that_would_lose_the_queue(night: Settings, own_redis: BreakableRedis) -> None:
    settings = night.model_copy(update={"redis_url": own_redis.url})
    own_redis.client.config_set("maxmemory-policy", "allkeys-lru")
    own_redis.client.config_set("appendonly", "no")
    own_redis.client.config_set("maxmemory", 1_000_000)
    assert "Set noeviction" in found(settings, Level.ERROR)["redis"][0]
    warnings = found(settings, Level.WARNING)["redis"]
    assert "Set appendonly yes" in warnings[0]
    assert "MB are used" in warnings[1]


def break_rows(database: Engine, statement: str) -> None:
    """Write what no part of the program writes, past the constraints."""
    with database.connect() as connection:
        if database.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(statement)
        connection.commit()
        connection.invalidate()


SUMMARY = (
    "INSERT INTO summary (job_id, adapter_digest, text, base_model, quantization, compute_dtype, prompt_version, "
    "cleaner_version, generation, num_prompt_tokens, num_completion_tokens, finish_reason, coverage, duration_s, "
    "worker, created_at) VALUES ({}, '', '', '', '', '', '', '', '', 1, 1, '', 1, 1, '', 1)"
)


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (["UPDATE job SET state = 'lost' WHERE id = 1"], "1 jobs in no known state"),
        (["UPDATE job SET state = 'done' WHERE id < 3"], "2 jobs that are done and have no summary"),
        (
            ["UPDATE job SET state = 'insufficient_content' WHERE id = 4", SUMMARY.format(4)],
            "1 jobs with nothing to summarize that have a summary",
        ),
        ([SUMMARY.format(999)], "1 summaries without a job"),
        (["DELETE FROM submission_job WHERE job_id = 5"], "1 jobs of no submission"),
        (["DELETE FROM job WHERE id = 5"], "1 places in a submission without a job"),
        (["UPDATE job SET state = 'running' WHERE id = 6"], "1 running jobs without a lease owner"),
        (["UPDATE job SET lease_owner = 'x' WHERE id = 7"], "1 jobs with a lease owner that are not running"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_broken_promise_is_an_error(
    statements: list[str], sentence: str, night: Settings, database: Engine
) -> None:
    for statement in statements:
        break_rows(database, statement)
    [broken] = found(night, Level.ERROR)["promises"]
    assert broken.startswith(f"{sentence}. ")


def test_an_account_that_does_not_add_up_is_an_error(night: Settings, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(update(Job).where(Job.id == 1).values(state="lost"))
    assert "it does not add up: 20 submitted = 0 done" in found(night, Level.ERROR)["account"][0]


@pytest.fixture
def aftercall(
    night: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Calls the command on this night; exit code and output."""
    for name, value in night.to_environment().items():
        monkeypatch.setenv(name, value)

    def call(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(args))
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out

    return call


def test_the_command_tells_a_script_whether_all_is_well(
    aftercall: Callable[..., tuple[int, str]], database: Engine
) -> None:
    code, output = aftercall("doctor")
    assert (code, output.splitlines()[-1]) == (0, "errors: 0, warnings: 0")
    workers.remove(database, WORKER.name)
    code, output = aftercall("doctor")
    assert (code, output.splitlines()[-1]) == (EXIT_NOT_WELL, "errors: 1, warnings: 0")


def test_status_says_who_works_and_that_nobody_does(
    aftercall: Callable[..., tuple[int, str]], database: Engine
) -> None:
    def words() -> str:
        return " ".join(aftercall("status")[1].split())

    assert "1 worker alive, serving the base model alone" in words()
    workers.record_heartbeat(database, WorkerRecord("other/host/2", "0.1.0", 1, "0005", "smollm2-135m-instruct", "abc"))
    workers.record_heartbeat(database, WorkerRecord("third/host/2", "0.1.0", 1, "0005", "smollm2-135m-instruct", None))
    assert "3 workers alive, serving the base model alone (1) and adapter abc (1), 1 loading the model" in words()
    for name in (WORKER.name, "other/host/2", "third/host/2"):
        workers.remove(database, name)
    assert "20 conversations wait and no worker is alive: start one with `aftercall worker`" in words()


def test_failures_are_counted_listed_written_and_tried_again(
    aftercall: Callable[..., tuple[int, str]], database: Engine, tmp_path: Path
) -> None:
    assert aftercall("failures") == (0, "nothing failed\n")
    work.claim(database, [1, 2, 3], work.Lease("w", 60.0), 3)
    for job_id, code in ((1, "empty_summary"), (2, "engine_error"), (3, "engine_error")):
        work.fail(database, work.JobFailure(job_id, code, f"=reason \x1b[2J {job_id}", is_final=True), "w", 3, 0.0)

    shown = aftercall("failures", "1")[1].splitlines()
    assert [line.split()[:2] for line in shown[1:3]] == [["2", "engine_error"], ["1", "empty_summary"]]
    assert "aftercall requeue 1 --failed" in shown[-1]
    listed = aftercall("failures", "--code", "engine_error")[1]
    names = {line.split("\t")[1] for line in listed.splitlines()}
    assert len(names) == 2
    assert "\x1b" not in listed

    out = tmp_path / "failed.csv"
    assert aftercall("failures", "--out", str(out)) == (0, f"3 failed conversations written to {out}\n")
    assert out.read_text().count("'=reason") == 3

    assert aftercall("requeue", "--failed", "--code", "engine_error")[1].startswith("2 conversations queued again")
    assert aftercall("requeue", "--code", "engine_error")[0] == 2
    with database.begin() as connection:
        states = connection.execute(text("SELECT state FROM job WHERE id <= 3 ORDER BY id")).scalars().all()
    assert states == [JobState.FAILED, JobState.QUEUED, JobState.QUEUED]
    assert aftercall("failures", "7")[0] == 11
