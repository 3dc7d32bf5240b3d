"""The command line as a user meets it: what it lists, what it imports, and what it says to bad input."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from aftercall.cli import COMMANDS
from aftercall.errors import EXIT_SOME_REJECTED
from aftercall.settings import PREFIX
from producer.batches import MAX_BATCH_ROWS
from producer.export import FIELD_COLUMNS, RESULT_COLUMNS
from tests.fixtures.command import Answer, open_embedded
from tests.fixtures.workers import conversation_text, read_status, write_source


def test_help_lists_every_command_and_every_command_has_help(aftercall: Callable[..., Answer]) -> None:
    listed = aftercall("--help")
    assert listed.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in listed.output
        assert line.partition(",")[0] in " ".join(listed.output.split())
        assert f"Usage: aftercall {name}" in aftercall(name, "--help").output


def test_an_unknown_command_is_named(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("summarise")
    assert (answer.exit_code, "'summarise'" in answer.errors) == (2, True)


def test_no_command_line_imports_torch(tmp_path: Path) -> None:
    write_source(tmp_path / "a.csv", ["a"])
    lines = [["--help"], *([name, "--help"] for name in COMMANDS), ["submit", "--dry-run", "a.csv"], ["doctor"]]
    script = (
        "import sys\n"
        "from aftercall.cli import main\n"
        f"for line in {lines!r}:\n"
        "    try:\n        main(line)\n"
        "    except SystemExit:\n        pass\n"
        "    heavy = {'torch', 'transformers', 'peft'} & sys.modules.keys()\n"
        "    assert not heavy, f'{line} imports {heavy}'\n"
    )
    # What the doctor thinks of this machine is not the question.
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Case:
    """A file or setting that is wrong, and what is said to it."""

    name: str
    exit_code: int
    sentence: str
    content: bytes | None = None
    args: tuple[str, ...] = ("submit", "bad.csv")
    setting: tuple[str, str] | None = None


CASES = [
    Case("missing file", 3, "bad.csv: no such file."),
    Case("empty file", 3, "empty", b""),
    Case("header alone", 3, "header and no rows", b"conversation_id,transcript\n"),
    Case("unknown header", 3, "--map id=a,transcript=b", b"a,b\n1,where is my parcel\n"),
    Case("workbook", 3, "the archive is cut off or damaged", b"PK\x03\x04rest"),
    Case("folder", 3, "aftercall.db: this is an SQLite database", args=("submit", ".")),
    Case("unknown field", 3, "--map takes field=column pairs", b"a,b\n1,2\n", ("submit", "bad.csv", "--map", "x=a")),
    Case("unknown setting", 5, "unknown setting AFTERCALL_WINDOWS", setting=("WINDOWS", "1")),
    Case("unusable setting", 5, "AFTERCALL_WINDOW='none'", setting=("WINDOW", "none")),
    Case("unreadable database", 7, "expected sqlite:///PATH or postgresql://", setting=("DATABASE_URL", "nonsense")),
    Case("other database", 7, "expected sqlite:///PATH", setting=("DATABASE_URL", "mysql://u:secret@host/db")),
    Case(
        "database away",
        7,
        "the database postgresql+psycopg://u:***@127.0.0.1:1/db does not answer",
        setting=("DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/db"),
    ),
    Case("no schema", 12, "no tables yet. Run `aftercall db upgrade`", setting=("DATABASE_URL", "sqlite:///other.db")),
    Case("unknown submission", 11, "there is no submission 7", args=("export", "7", "--out", "x.csv")),
    Case("nothing to cancel", 11, "there is no submission 7", args=("cancel", "7")),
    Case("nothing to purge", 11, "there is no ledger at sqlite:///aftercall-data/aftercall.db", args=("purge", "7")),
    Case("Redis over a socket", 6, "expected redis://:PASSWORD@HOST:PORT", setting=("REDIS_URL", "unix:///run/redis")),
    Case("Redis without a port", 6, "expected redis://:PASSWORD@HOST:PORT", setting=("REDIS_URL", "redis://h:port/0")),
    Case("Redis without a host", 6, "expected redis://:PASSWORD@HOST:PORT", setting=("REDIS_URL", "redis://[h/0")),
    Case("data folder is a file", 1, "bad.csv: File exists. Check the path", setting=("DATA_DIR", "bad.csv")),
    Case("requeue without Redis", 6, "Redis at redis://:***@127.0.0.1:1/0 refuses", args=("requeue",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_gets_one_sentence_and_an_exit_code_of_its_own(
    case: Case, aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.content is not None:
        Path("bad.csv").write_bytes(case.content)
    if case.setting is not None:
        monkeypatch.setenv(PREFIX + case.setting[0], case.setting[1])
        write_source(Path("bad.csv"), ["a"])
    answer = aftercall(*case.args)

    assert answer.exit_code == case.exit_code, answer.errors
    assert case.sentence in answer.errors
    assert answer.errors.startswith("aftercall: ")
    assert "Traceback" not in answer.errors
    assert "secret" not in answer.output + answer.errors


def test_without_redis_a_submission_is_committed_and_the_rest_is_told(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("night.csv"), ["a", "b"])
    answer = aftercall("submit", "night.csv")

    assert answer.exit_code == 6
    assert (
        "submission 1 is committed, but not all is sent: Redis at redis://:***@127.0.0.1:1/0 refuses" in answer.errors
    )
    table = aftercall("status").output
    assert "night.csv" in table
    assert read_status(table) == {"submitted": 2, "waiting": 2, "done": 0, "failed": 0}


def test_rejected_rows_stand_in_a_file_with_line_and_reason(aftercall: Callable[..., Answer]) -> None:
    Path("night.csv").write_text("conversation_id,transcript\na,Customer: hello there\nonly one cell\n")
    answer = aftercall("submit", "--dry-run", "night.csv")

    assert answer.exit_code == EXIT_SOME_REJECTED
    assert "line 3: the row has 1 cells where the header has 2." in answer.output
    assert Path("night.csv.rejected.csv").read_text().splitlines()[1] == (
        "3,the row has 1 cells where the header has 2.,only one cell"
    )
    assert not Path("aftercall-data").exists()


def test_before_the_first_submission_status_says_how_to_begin(aftercall: Callable[..., Answer]) -> None:
    assert "aftercall submit SOURCE" in aftercall("status").output


def test_a_results_file_that_cannot_be_written_is_told_before_the_night(aftercall: Callable[..., Answer]) -> None:
    source = write_source(Path("night.csv"), ["a"])
    for folder in ("night.csv", "mistyped"):
        answer = aftercall("run", "night.csv", "--out", f"{folder}/out.csv")
        assert answer.exit_code == 1
        assert answer.errors == (
            f"aftercall: the folder {folder} does not exist, so out.csv cannot be written. "
            "Create it, or name another.\n"
        )
        assert not Path("mistyped").exists()
    assert "name a file" in aftercall("run", "night.csv", "--out", "-").errors
    Path("folder").mkdir()
    assert "is a directory" in aftercall("run", "night.csv", "--out", "folder").errors
    assert not Path("aftercall-data").exists()
    assert source.read_text().startswith("conversation_id")


@pytest.mark.parametrize("args", [["submit"], ["submit", "--dry-run"]])
def test_a_source_that_cannot_be_read_keeps_no_other_from_it(args: list[str], aftercall: Callable[..., Answer]) -> None:
    Path("odd.csv").write_text("a,b\n1,2\n")
    for name in ("monday.csv", "tuesday.csv"):
        write_source(Path(name), [name])
    answer = aftercall(*args, "odd.csv", "monday.csv", "missing.csv", "tuesday.csv")

    assert answer.exit_code == 3
    assert answer.errors.index("aftercall: odd.csv: ") < answer.errors.index("aftercall: missing.csv: no such file")
    for name in ("monday.csv", "tuesday.csv"):
        assert f"{name} (conversations, utf-8): " in answer.output
    assert ("submission 2 is committed" in answer.errors) == (args == ["submit"])
    if args == ["submit"]:
        assert read_status(aftercall("status", "2").output)["waiting"] == 1


def test_the_exit_code_is_that_of_the_first_problem(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("monday.csv"), ["a"])
    assert aftercall("submit", "monday.csv", "missing.csv").exit_code == 6
    assert aftercall("submit", "missing.csv", "monday.csv").exit_code == 3


def test_without_the_database_the_sources_that_were_not_read_are_named(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("monday.csv"), ["a"])
    os.mkfifo("tuesday.csv")
    write_source(Path("wednesday.csv"), ["a"])

    def break_ledger() -> None:
        with Path("tuesday.csv").open("w") as pipe:
            with open_embedded() as connection:
                connection.execute(text("DROP TABLE submission_job"))
            pipe.write("conversation_id,transcript\na,Customer: hello there\n")

    breaking = threading.Thread(target=break_ledger)
    breaking.start()
    answer = aftercall("submit", "monday.csv", "tuesday.csv", "wednesday.csv")
    breaking.join()
    assert answer.exit_code == 7
    assert "Not read to the end: tuesday.csv, wednesday.csv." in answer.errors


def test_corrections_in_the_file_of_rejected_rows_survive_the_next_submit(aftercall: Callable[..., Answer]) -> None:
    Path("night.csv").write_text("conversation_id,transcript\na,Customer: hello there\nonly one cell\n")
    rejected = Path("night.csv.rejected.csv")
    rejected.write_text("corrected by hand")
    answer = aftercall("submit", "--dry-run", "night.csv")
    assert "night.csv.rejected.csv is older: a dry run leaves it as it is" in answer.output
    assert "all of them in" not in answer.output
    assert rejected.read_text() == "corrected by hand"

    answer = aftercall("submit", "night.csv")
    assert "the older night.csv.rejected.csv is kept as night.csv.rejected.csv~" in answer.output
    assert Path("night.csv.rejected.csv~").read_text() == "corrected by hand"
    assert "only one cell" in rejected.read_text()
    assert "is kept as" not in aftercall("submit", "night.csv").output


def test_an_export_goes_to_stdout_alone_where_it_is_asked_for(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("night.csv"), ["a"])
    aftercall("submit", "night.csv")
    answer = aftercall("export", "1", "--out", "-")
    assert answer.output.splitlines() == [
        ",".join(RESULT_COLUMNS + FIELD_COLUMNS),
        "a,queued" + "," * (len(RESULT_COLUMNS + FIELD_COLUMNS) - 2),
    ]
    assert answer.errors == "1 waiting; export again when they are done\n"
    assert aftercall("export", "1", "--format", "jsonl", "--out", "-").output.startswith('{"id": "a"')
    assert not Path("-").exists()


def test_a_text_that_stands_twice_in_a_source_is_not_of_another_submission(aftercall: Callable[..., Answer]) -> None:
    write_source(Path("night.csv"), map(str, range(MAX_BATCH_ROWS + 1)), lambda external_id: conversation_text("1"))
    assert "1,001 new (1 with a text known before, whose summary is taken over)" in (
        " ".join(aftercall("submit", "night.csv").output.split())
    )


def test_the_nearest_command_is_suggested(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("exprot", "1")
    assert answer.exit_code == 2
    assert "there is no command 'exprot'. Did you mean 'export'?" in answer.errors
    assert "Did you mean" not in aftercall("zzz").errors
    assert "there is no command 'promot'. Did you mean 'promote'?" in aftercall("adapters", "promot").errors


def test_the_shell_completes_commands() -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "aftercall"],
        env={**os.environ, "_AFTERCALL_COMPLETE": "bash_complete", "COMP_WORDS": "aftercall wa", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.split() == ["plain,wait"]
