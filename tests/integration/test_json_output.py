"""What the commands print with --json is what docs/json.md says, and adds up."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fixtures.command import Answer
from tests.fixtures.json_schemas import assert_adds_up, read_valid
from tests.fixtures.workers import WorkerStarter, conversation_text, wait_until_finished, write_source

SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def write_night(folder: Path) -> Path:
    """Eight conversations: one fails, one has nothing to summarize, and one row is rejected."""
    texts = {"poison": "Customer: POISON my order did not arrive yet\n", "short": "Customer: hi\n", "empty": ""}
    ids = [*(f"c{number}" for number in range(6)), *texts]
    return write_source(folder / "night.csv", ids, lambda each: texts.get(each, conversation_text(each)))


@SQLITE_ONLY
def test_a_night_is_told_in_json(
    command: Callable[..., Answer], database: Engine, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    source = write_night(tmp_path)
    dry = read_valid("submit", command("submit", "--dry-run", "--json", str(source)).output)
    answer = command("submit", "--json", str(source), str(tmp_path / "missing.csv"))
    submitted = read_valid("submit", answer.output)

    assert answer.exit_code == submitted["exit_code"] == 3
    assert (dry["dry_run"], dry["sources"][0]["submission"]) == (True, None)
    told, missing = submitted["sources"]
    assert (told["submission"], told["read"], told["added"], told["rejected"]) == (1, 8, 8, 1)
    assert "the transcript is empty" in told["rejected_examples"][0]["reason"]
    assert missing["error"]["exit_code"] == 3
    assert "night.csv" in answer.errors

    before = read_valid("status", command("status", "--json", "--latest").output)["submissions"][0]
    assert (before["state"], before["first_finished_at"], before["deadline"]) == ("open", None, None)
    assert before["sentence"] == "no estimate: no worker is alive"

    start_worker()
    wait_until_finished(database, 1)
    status = read_valid("status", command("status", "--json", "--deadline", "2000-01-01T05:30").output)
    only = status["submissions"][0]
    assert only["counts"] == status["total"]
    assert_adds_up(only["counts"])
    assert (only["counts"]["done"], only["counts"]["failed"], only["counts"]["insufficient"]) == (6, 1, 1)
    assert only["counts"]["rejected"] == 1
    assert (only["state"], only["deadline"]["verdict"]) == ("ended", "missed")
    assert only["submitted_at"] <= only["first_finished_at"] <= only["ended_at"] <= status["at"]
    assert only["conversations_per_s"] > 0
    assert [worker["state"] for worker in status["workers"]] == ["serving"]

    failures = read_valid("failures", command("failures", "--json", "--ids").output)
    assert (failures["total"], failures["by_code"][0]["code"]) == (1, "engine_error")
    assert [each["id"] for each in failures["conversations"]] == ["poison"]
    assert read_valid("failures", command("failures", "1", "--json", "--code", "other").output)["total"] == 0


@SQLITE_ONLY
def test_doctor_tells_its_findings_in_json(command: Callable[..., Answer], database: Engine) -> None:
    answer = command("doctor", "--json")
    told = read_valid("doctor", answer.output)

    assert told["exit_code"] == answer.exit_code
    assert sum(told["counts"].values()) == len(told["findings"])
    assert "database" in {each["subject"] for each in told["findings"]}


def test_an_empty_ledger_is_an_empty_status(aftercall: Callable[..., Answer]) -> None:
    told = read_valid("status", aftercall("status", "--json").output)
    assert (told["submissions"], told["workers"], told["total"]["submitted"]) == ([], [], 0)


def test_an_error_leaves_stdout_empty(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("status", "--latest", "--json")
    assert (answer.exit_code, answer.output) == (11, "")
    assert "nothing was submitted yet" in answer.errors


def test_stdout_is_json_alone_even_where_people_are_told_more(tmp_path: Path, redis_url: str) -> None:
    source = write_night(tmp_path)
    answer = subprocess.run(
        [sys.executable, "-m", "aftercall", "submit", "--json", source.name],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "AFTERCALL_REDIS_URL": redis_url, "AFTERCALL_QUEUE": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 4, answer.stderr
    assert json.loads(answer.stdout)["kind"] == "submit"
    assert "8 conversations read" in answer.stderr


def test_adapters_are_listed_in_json(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("adapters", "list", "--json")
    assert answer.exit_code == 0, answer.errors
    assert [each["state"] for each in read_valid("adapters", answer.output)["adapters"]] == ["shipped"]
