"""A running worker follows the registry: promotion and rollback while it works, and an adapter that is not here."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, select, update

from aftercall.database import reading
from aftercall.ledger import account, workers
from aftercall.models import Adapter, Summary
from aftercall.settings import Settings
from bench.random_adapter import make_adapter
from producer import cli
from tests.fixtures.workers import TIMEOUT_S, submit_file, wait_until, wait_until_finished, write_source
from training.registry import registry
from training.registry.registry import Trial
from worker.loading.base_model import find_base_model

pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.timeout(600)]

#: Of one source of the night.
NUM_CONVERSATIONS = 80


@pytest.fixture
def settings(settings: Settings, tiny_model_dir: Path) -> Settings:
    """Many small chunks of a model that takes milliseconds for each."""
    return settings.model_copy(
        update={"base_model": str(tiny_model_dir), "chunk_size": 4, "worker_threads": 2, "max_new_tokens": 16}
    )


@pytest.fixture
def adapters(database: Engine, tiny_model_dir: Path, tmp_path: Path) -> list[str]:
    """Digests of three candidates."""
    base = find_base_model(str(tiny_model_dir), tmp_path)
    folders = [make_adapter(tmp_path / "adapters", base, seed, rank=4 * seed, size=0.3) for seed in (1, 2, 3)]
    return [registry.register(database, folder).digest for folder in folders]


@pytest.fixture
def log(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """The log of a worker process with the real engine, started here and stopped in order."""
    path = tmp_path / "worker.log"
    command = [sys.executable, "-m", "worker.process", "--name", "swapper", "--device", "cpu"]
    with path.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **settings.to_environment()}
        )
    yield path
    assert process.poll() is None, path.read_text()
    process.terminate()
    assert process.wait(TIMEOUT_S) == 0


def promote(database: Engine, digest: str) -> None:
    incumbent = registry.active(database, "tiny-llama")
    registry.promote(database, digest, Trial(incumbent.digest if incumbent else None))


def serves(database: Engine, digest: str) -> Callable[[], bool]:
    return lambda: [row.worker.adapter_digest for row in workers.alive(database)] == [digest]


def summaries(database: Engine) -> dict[tuple[int, str], str]:
    """Each summary's text by job and adapter."""
    with reading(database) as connection:
        rows = connection.execute(select(Summary.job_id, Summary.adapter_digest, Summary.text)).all()
    return {(row.job_id, row.adapter_digest): row.text for row in rows}


def test_a_worker_follows_the_registry_while_it_works(
    database: Engine,
    adapters: list[str],
    log: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = adapters
    wait_until(serves(database, ""), "the worker serves the base model")
    promote(database, first)
    wait_until(serves(database, first), "the first adapter served")

    submissions: list[int] = []

    def submit_more() -> None:
        ids = (f"{len(submissions)}-{number}" for number in range(NUM_CONVERSATIONS))
        source = write_source(tmp_path / f"night-{len(submissions)}.csv", ids, text_of)
        submissions.append(submit_file(source, database, settings).submission_id)

    def is_begun() -> bool:
        return account.account(database, submissions[-1]).done >= NUM_CONVERSATIONS / 4

    def serves_second_beside_work() -> bool:
        """The night goes on for as long as the exchange takes: it is one of a worker that works."""
        if is_begun():
            submit_more()
        return serves(database, second)()

    # Promoted while a night runs: what was done stays, the rest is the new one's, each exactly once.
    submit_more()
    wait_until(is_begun, "a part of the night done")
    before = summaries(database)
    promote(database, second)
    wait_until(serves_second_beside_work, "the second adapter served")
    submit_more()
    for each in submissions:
        assert wait_until_finished(database, each).done == NUM_CONVERSATIONS
    after = summaries(database)
    num_by_adapter = Counter(adapter for _, adapter in after)
    num_done = NUM_CONVERSATIONS * len(submissions)
    assert set(num_by_adapter) == {first, second}
    assert num_by_adapter.total() == num_done
    assert num_by_adapter[second] >= NUM_CONVERSATIONS
    assert before.items() <= after.items()

    # Not here: it stays outside, said once; what is served goes on.
    activate_from_nowhere(database, third)
    wait_until(
        lambda: f"adapter {third} is active and cannot be served here, {second} stays" in log.read_text(),
        "a word about it",
    )
    small = write_source(tmp_path / "small.csv", ["a", "b"], text_of)
    late = submit_file(small, database, settings).submission_id
    wait_until_finished(database, late)
    assert log.read_text().count("cannot be served here") == 1
    assert Counter(adapter for _, adapter in summaries(database))[second] == num_by_adapter[second] + 2

    # Back to the first, and everything that the second wrote once more: as the first writes it, the old beside.
    activate_from_nowhere(database, second)
    registry.rollback(database, "tiny-llama")
    wait_until(serves(database, first), "the first adapter served again")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    redone = CliRunner().invoke(cli.resummarize, ["--adapter", second, "--yes"], catch_exceptions=False)
    num_redone = num_by_adapter[second] + 2
    assert f"{num_redone} conversations have their newest summary from adapter {second}" in redone.output
    assert f"{num_redone} conversations queued again" in redone.output
    for each in (*submissions, late):
        wait_until_finished(database, each)
    final = summaries(database)
    assert after.items() <= final.items()
    assert Counter(adapter for _, adapter in final) == {first: num_done + 2, second: num_redone}
    assert log.read_text().count(" is served in place of ") == 3


def test_submissions_get_the_adapters_that_they_asked_for_from_one_worker(
    database: Engine,
    adapters: list[str],
    log: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same conversations four times, in one worker's batch: each submission's summaries are its adapter's own."""
    first, second, _ = adapters
    wait_until(serves(database, ""), "the worker serves the base model")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    source = str(write_source(tmp_path / "night.csv", ["a", "b", "c", "d"], text_of))
    for options in ([], ["--adapter", first[:8]], ["--adapter", second], ["--adapter", "none"]):
        assert CliRunner().invoke(cli.submit, [source, *options], catch_exceptions=False).exit_code == 0
    made = {number: wait_until_finished(database, number) for number in (1, 2, 3, 4)}
    assert [each.done for each in made.values()] == [4] * 4
    written = {
        number: [result.summary for result in account.results(database, number) if result.summary] for number in made
    }
    assert [{summary.adapter_digest for summary in written[number]} for number in made] == [
        {""},
        {first},
        {second},
        {""},
    ]
    texts = {number: [summary.text for summary in summaries] for number, summaries in written.items()}
    assert texts[1] == texts[4] != texts[2] != texts[3] != texts[1]
    assert "is loaded in addition to none" in log.read_text()
    # Asked for again, nothing is added.
    CliRunner().invoke(cli.submit, [source, "--adapter", first], catch_exceptions=False)
    assert account.account(database, 2).submitted == 4
    refused = CliRunner().invoke(cli.submit, [source, "--adapter", "0000"])
    assert "no adapter is registered under '0000'" in str(refused.exception)


def text_of(external_id: str) -> str:
    return f"user: where is order {external_id}\nagent: on its way\n"


def activate_from_nowhere(database: Engine, digest: str) -> None:
    """As a registry has it whose adapter lies on another machine."""
    with database.begin() as connection:
        connection.execute(update(Adapter).where(Adapter.state == "active").values(state="retired"))
        connection.execute(update(Adapter).where(Adapter.digest == digest).values(state="active", path="/nowhere"))
