"""A script that was made for a hosted batch, with upload and polling replaced by aftercall's commands."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.fixtures.command import Answer
from tests.fixtures.workers import WorkerStarter, conversation_text

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

WRITE_REQUESTS = """
import json, sys
tickets = json.load(sys.stdin)
with open("requests.jsonl", "w") as file:
    for number, words in tickets.items():
        body = {
            "model": "gpt-4o-mini",
            "temperature": 0.1,
            "max_tokens": 150,
            "messages": [
                {"role": "system", "content": "You summarize support conversations in two sentences."},
                {"role": "user", "content": f"Summarize this conversation:\\n\\n{words}"},
            ],
        }
        task = {"custom_id": f"task-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        file.write(json.dumps(task) + "\\n")
"""

READ_ANSWERS = """
import json
answers = {}
with open("answers.jsonl") as file:
    for line in file:
        result = json.loads(line)
        if result["error"] or result["response"]["status_code"] != 200:
            answers[result["custom_id"]] = "FAILED"
            continue
        completion = result["response"]["body"]
        assert completion["usage"]["total_tokens"] > 0
        answers[result["custom_id"]] = completion["choices"][0]["message"]["content"]
print(json.dumps(answers))
"""


def play(script: str, words: str = "") -> str:
    """A script of the user's, in their folder."""
    return run([sys.executable, "-c", script], input=words, text=True, capture_output=True, check=True).stdout


def test_a_script_made_for_a_hosted_batch_runs_on_ones_own_machines(
    command: Callable[..., Answer], start_worker: WorkerStarter, database: Engine
) -> None:
    tickets = {str(number): conversation_text(str(number)) for number in range(9, 0, -1)}
    tickets |= {"5": "Customer: POISON my order did not arrive yet\n", "3": "Customer: hi\n", "2": "no one speaks"}
    play(WRITE_REQUESTS, json.dumps(tickets))
    start_worker()

    assert command("submit", "requests.jsonl", "--wait").exit_code == 10
    assert command("export", "--latest", "--format", "openai", "--out", "answers.jsonl").exit_code == 0
    answers = json.loads(play(READ_ANSWERS))

    assert list(answers) == [f"task-{number}" for number in (9, 8, 7, 6, 5, 4, 3, 1)]
    assert {number for number, answer in answers.items() if answer == "FAILED"} == {"task-5", "task-3"}
    assert answers["task-9"].startswith("Summary of: user: my order 9 did not arrive yet")
    errors = {line["custom_id"]: line["error"]["code"] for line in read_lines() if line["error"]}
    assert errors == {"task-5": "engine_error", "task-3": "insufficient_content"}
    completion = read_lines()[0]["response"]["body"]
    assert (completion["object"], completion["model"]) == ("chat.completion", "scripted")
    assert completion["created"] > 1_700_000_000
    assert completion["choices"][0]["finish_reason"] == "stop"


def test_what_is_open_or_cancelled_is_an_error_and_the_file_can_be_written_again(
    command: Callable[..., Answer], start_worker: WorkerStarter, database: Engine
) -> None:
    play(WRITE_REQUESTS, json.dumps({number: conversation_text(number) for number in "12"}))
    export = ("export", "1", "--format", "openai", "--out", "answers.jsonl")
    command("submit", "requests.jsonl")
    assert command(*export).exit_code == 0
    assert [line["error"]["code"] for line in read_lines()] == ["batch_expired", "batch_expired"]
    assert command("cancel", "1").exit_code == 0
    assert command(*export).exit_code == 0
    assert [line["error"]["code"] for line in read_lines()] == ["batch_cancelled", "batch_cancelled"]
    refused = command(*export, "--provenance")
    assert (refused.exit_code, "no place for --provenance" in refused.errors) == (2, True)
    Path("answers.jsonl").write_text('{"id": 1}\n')
    assert "was not written by this command" in command(*export).errors


def read_lines() -> list[dict[str, Any]]:
    """The lines of the answers."""
    return [json.loads(line) for line in Path("answers.jsonl").read_text(encoding="utf-8").splitlines()]
