"""What an attacker, a curious reader of logs or a spreadsheet must not get: nothing is run, nothing is told."""

import csv
import json
import pickle
import traceback
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from aftercall.cli import main
from aftercall.errors import AdapterError, AftercallError, ModelError
from aftercall.settings import Settings
from producer.export import export
from producer.formulas import unguard
from producer.rejected import RejectedFile
from producer.source import Rejected
from producer.source_paths import rejected_path
from tests.fixtures.breakable import BreakablePostgres, BreakableRedis
from tests.fixtures.workers import (
    WorkerStarter,
    submit_file,
    wait_until,
    wait_until_finished,
    write_source,
)
from worker.adapters.manifest import check_adapter
from worker.loading.base_model import find_base_model

SECRET = "hunter2-and-more"

#: Every command that opens a service; `worker` hands its settings on, and its process has a test of its own.
COMMANDS = (
    ["run", "night.csv"],
    ["submit", "night.csv"],
    ["status"],
    ["failures"],
    ["doctor"],
    ["export", "1", "--out", "out.csv"],
    ["cancel", "1"],
    ["requeue", "--failed"],
    ["resummarize", "--adapter", "0123", "--yes"],
    ["adapters", "list"],
    ["db", "upgrade"],
)
UNREACHABLE = (
    f"postgresql://ada:{SECRET}@127.0.0.1:1/ledger",
    f"postgresql://ada@127.0.0.1:1/ledger?password={SECRET}",
    f"postgresql://ada:{SECRET}@127.0.0.1:port/ledger",
    f"mysql://ada:{SECRET}@127.0.0.1/ledger",
    f"ada:{SECRET}@127.0.0.1/ledger",
)
UNREACHABLE_REDIS = (
    f"redis://ada:{SECRET}@127.0.0.1:1/0",
    f"redis://127.0.0.1:1/0?password={SECRET}",
    f"redis://:{SECRET}@127.0.0.1:port/0",
    f"amqp://ada:{SECRET}@127.0.0.1:1/0",
)


@pytest.fixture
def call(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> "Call":
    """A command in this process, in a folder with a source, on the settings of the test."""
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "night.csv", ["C-1"])
    return Call(settings, monkeypatch, capfd)


class Call:
    """Calls the command line and keeps what it says."""

    def __init__(self, settings: Settings, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._patch = patch
        self._capture = capture

    def __call__(self, arguments: list[str], **changed: object) -> str:
        for name, value in self._settings.model_copy(update=changed).to_environment().items():
            self._patch.setenv(name, value)
        try:
            main(arguments)
        except SystemExit:
            pass
        except Exception:
            traceback.print_exc()
        return "".join(self._capture.readouterr())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("url", UNREACHABLE)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_command_tells_the_databases_password(url: str, command: list[str], call: Call) -> None:
    said = call(command, database_url=url)
    assert "database" in said
    assert SECRET not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [["submit", "night.csv"], ["requeue"]], ids=" ".join)
@pytest.mark.parametrize("url", UNREACHABLE_REDIS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_command_tells_the_password_of_redis(url: str, command: list[str], call: Call) -> None:
    said = call(command, redis_url=url)
    assert "Redis" in said
    assert SECRET not in said
    assert "Traceback" not in said


def test_a_night_that_went_well_does_not_tell_it_either(
    call: Call, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing to summarize, so that no model is loaded.
    Path("night.csv").write_text("id,transcript\n1,user: hi\n")
    url = make_url(postgres_url).set(password=SECRET).render_as_string(hide_password=False)
    said = call(["run", "night.csv"], database_url=url)
    assert "database" in said
    assert "0 done" in said
    assert SECRET not in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_worker_writes_a_password_into_its_log(
    tmp_path: Path,
    settings: Settings,
    own_postgres: BreakablePostgres,
    own_redis: BreakableRedis,
    start_worker: WorkerStarter,
) -> None:
    own_redis.client.config_set("requirepass", SECRET)
    own_redis.client.connection_pool.connection_kwargs["password"] = SECRET
    database_url = make_url(own_postgres.url).set(password=SECRET).render_as_string(hide_password=False)
    redis_url = own_redis.url.replace("//", f"//:{SECRET}@")
    settings = settings.model_copy(update={"database_url": database_url, "redis_url": redis_url})
    worker = start_worker(settings=settings)
    wait_until(lambda: own_redis.client.client_list(_type="normal")[3:], "the worker consumes")
    own_postgres.crash()
    wait_until(lambda: "upkeep waits" in worker.log.read_text(), "it misses the database")
    own_redis.stop()
    wait_until(lambda: "Cannot connect to redis" in worker.log.read_text(), "it misses Redis")
    assert SECRET not in worker.log.read_text()

    without = start_worker(settings=settings)
    assert without.wait() == 7
    assert SECRET not in without.log.read_text()


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_worker_tells_the_password_of_redis_right_or_wrong(
    is_right: bool, settings: Settings, own_redis: BreakableRedis, start_worker: WorkerStarter
) -> None:
    own_redis.client.config_set("requirepass", SECRET if is_right else "another")
    if is_right:
        own_redis.kill()
    worker = start_worker(
        settings=settings.model_copy(update={"redis_url": own_redis.url.replace("//", f"//:{SECRET}@")})
    )
    assert worker.wait() == 6
    assert "Redis at redis://:***@" in worker.log.read_text()
    assert SECRET not in worker.log.read_text()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_words_that_look_like_sql_are_words(
    kind: str, tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    ids = ["'; DROP TABLE job; --", '") OR 1=1 --', "%s %(id)s :id ? $1", "Robert\\'); --", "a''b\"c`d"]
    source = write_source(tmp_path / "night.csv", ids)
    report = submit_file(source, database, settings)
    start_worker()
    assert wait_until_finished(database, report.submission_id).done == len(ids)

    out = tmp_path / f"out.{kind}"
    export(database, report.submission_id, out, "csv" if kind == "csv" else "jsonl", with_provenance=True)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file)) if kind == "csv" else [json.loads(line) for line in file]
    assert [unguard(row["id"]) if kind == "csv" else row["id"] for row in rows] == ids
    assert all(f"my order {row['id']} did" in row["summary"] or row["id"][:10] in row["summary"] for row in rows)


def test_rejected_rows_are_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    planted = tmp_path / "night.csv.rejected.csv"
    planted.symlink_to(victim)
    with RejectedFile(planted, ["id"]) as rejected:
        rejected.write(Rejected(2, "no reason.", ("1",)))
    assert victim.read_text() == "mine"
    assert planted.read_text().startswith("line,reason,id")

    planted.unlink()
    with RejectedFile(planted, ["id"]) as rejected:
        planted.symlink_to(victim)
        rejected.write(Rejected(2, "no reason.", ("1",)))
    assert victim.read_text() == "mine"
    assert not planted.is_symlink()


def test_rejected_rows_stay_beside_their_source_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_source(tmp_path / "night.csv", ["C-1"])
    assert rejected_path(str(source)) == tmp_path / "night.csv.rejected.csv"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert rejected_path("/srv/../../etc/night.csv") == Path("night.csv.rejected.csv")
    assert rejected_path("-") == Path("stdin.rejected.csv")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_export_is_not_written_through_a_link(tmp_path: Path, settings: Settings, database: Engine) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1"]), database, settings)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out.csv").symlink_to(victim)
    with pytest.raises(AftercallError, match="is not a regular file"):
        export(database, report.submission_id, tmp_path / "out.csv", "csv", with_provenance=False)
    assert victim.read_text() == "mine"
    assert (tmp_path / "out.csv").is_symlink()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


def test_a_model_that_is_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    with pytest.raises(ModelError, match=r"\.bin files, which can run code when they are read\. Save the model as"):
        find_base_model(str(folder), tmp_path / "cache")
    assert not (tmp_path / "trapped").exists()


def test_an_adapter_that_is_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    with pytest.raises(AdapterError):
        check_adapter(folder, "any", "1")
    (folder / "manifest.json").unlink()
    with pytest.raises(AdapterError):
        check_adapter(folder, "any", "1")
    assert not (tmp_path / "trapped").exists()
