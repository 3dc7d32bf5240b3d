"""`aftercall metrics --textfile`: what Prometheus reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from aftercall.settings import Settings
from tests.fixtures.command import NO_REDIS, Answer
from tests.fixtures.workers import WorkerStarter, submit_file, wait_until_finished, write_source


def read_metrics(path: Path) -> dict[tuple[str, str], float]:
    """Name and label's value to the figure, as Prometheus' own parser reads the file."""
    families = text_string_to_metric_families(path.read_text())
    return {
        (sample.name.removeprefix("aftercall_"), ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_metrics_are_those_of_the_night(
    aftercall: Callable[..., Answer],
    database: Engine,
    settings: Settings,
    start_worker: WorkerStarter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    submit_file(write_source(tmp_path / "night.csv", [f"c{number}" for number in range(20)]), database, settings)
    answer = aftercall("metrics", "--textfile", "aftercall.prom")
    before = read_metrics(Path("aftercall.prom"))

    assert answer.exit_code == 0, answer.errors
    assert (before["jobs", "queued"], before["jobs", "done"], before["open_conversations", "1"]) == (20, 0, 20)
    assert before["queue_messages", ""] == 2
    assert before["oldest_waiting_seconds", ""] > 0
    assert (before["workers", "alive"], before["up", "redis"]) == (0, 1)

    start_worker()
    wait_until_finished(database, 1)
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    (settings.spool_dir / "1.json").write_text("{}")
    monkeypatch.setenv("AFTERCALL_REDIS_URL", NO_REDIS)
    assert aftercall("metrics", "--textfile", "aftercall.prom", "--deadline", "2000-01-01T05:30").exit_code == 0
    after = read_metrics(Path("aftercall.prom"))
    assert (after["jobs", "queued"], after["jobs", "done"], after["workers", "alive"]) == (0, 20, 1)
    assert (after["oldest_waiting_seconds", ""], after["leases_expired", ""]) == (0, 0)
    assert (after["up", "redis"], after["spool_files", ""]) == (0, 1)
    assert ("queue_messages", "") not in after
    assert after["deadline_slack_seconds", "1"] < 0
    assert [value for (name, labels), value in after.items() if name == "adapter_info" and "scripted" in labels] == [1]
