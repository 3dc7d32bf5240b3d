"""Files that commands write: a customer's only copy is no results file, whatever somebody typed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.database import connect
from aftercall.errors import AftercallError
from aftercall.ledger import work
from producer.output import write_out
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source

REFUSED = "exists and was not written by this command. Name another file, or remove it first.\n"

WRITERS = [
    ["export", "1", "--out"],
    ["export", "1", "--format", "jsonl", "--out"],
    ["failures", "--out"],
]


@pytest.fixture
def finished_night(aftercall: Callable[..., Answer]) -> None:
    """`night.csv` with one conversation, which is summarized."""
    write_source(Path("night.csv"), "a")
    aftercall("submit", "night.csv")
    database = connect("sqlite:///aftercall-data/aftercall.db")
    work.complete(
        database,
        [
            work.SummaryRecord(
                1, "one", "the text", "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 0.9, 0.5, "worker-1"
            )
        ],
    )
    database.dispose()


@pytest.mark.usefixtures("finished_night")
@pytest.mark.parametrize("command", WRITERS, ids=lambda command: " ".join(command[:-1]))
@pytest.mark.parametrize(
    "content",
    [
        "conversation_id,transcript\na,Customer: hello\n",
        '{"id": "a", "transcript": "hello"}\n',
        "[" * 20_000,
        "\n",
        "id,",
    ],
    ids=["CSV", "JSON Lines", "deep JSON", "a blank line", "half a header"],
)
def test_what_the_command_did_not_write_stays(
    command: list[str], content: str, aftercall: Callable[..., Answer]
) -> None:
    source = Path("other.csv")
    source.write_text(content)
    answer = aftercall(*command, "other.csv")
    assert (answer.exit_code, answer.errors) == (1, f"aftercall: other.csv {REFUSED}")
    assert source.read_text() == content


@pytest.mark.usefixtures("finished_night")
@pytest.mark.parametrize("command", WRITERS, ids=lambda command: " ".join(command[:-1]))
def test_an_empty_file_and_what_the_command_wrote_are_replaced(
    command: list[str], aftercall: Callable[..., Answer]
) -> None:
    out = Path("out")
    assert aftercall(*command, "out").exit_code == 0
    written = out.read_bytes()
    for older in (b"", written + written.splitlines(keepends=True)[-1]):
        out.write_bytes(older)
        assert aftercall(*command, "out").exit_code == 0
        assert out.read_bytes() == written


@pytest.mark.usefixtures("finished_night")
def test_an_export_replaces_one_with_other_columns_or_of_another_format(aftercall: Callable[..., Answer]) -> None:
    for options in ([], ["--provenance"], ["--format", "jsonl"], ["--format", "jsonl", "--provenance"], []):
        assert aftercall("export", "1", *options, "--out", "out").exit_code == 0
    assert "adapter_digest" not in Path("out").read_text()


def test_a_night_does_not_begin_if_its_results_would_replace_its_source(aftercall: Callable[..., Answer]) -> None:
    source = write_source(Path("night.csv"), "a")
    before = source.read_bytes()
    answer = aftercall("run", "--out", "night.csv", "night.csv")
    assert (answer.exit_code, answer.errors) == (1, f"aftercall: night.csv {REFUSED}")
    assert source.read_bytes() == before
    assert not Path("aftercall-data").exists()


@pytest.mark.usefixtures("finished_night")
@pytest.mark.parametrize("command", WRITERS, ids=lambda command: " ".join(command[:-1]))
def test_a_mistyped_folder_is_named_and_not_made(command: list[str], aftercall: Callable[..., Answer]) -> None:
    answer = aftercall(*command, "mistyped/out.csv")
    assert answer.exit_code == 1
    assert (
        answer.errors
        == "aftercall: the folder mistyped does not exist, so out.csv cannot be written. Create it, or name another.\n"
    )
    assert not Path("mistyped").exists()


def test_a_closed_stdout_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(AftercallError, match=r"stdout is closed\. Name a file"):
        write_out(Path("-"), ["id"], lambda file: file.write("x"))
