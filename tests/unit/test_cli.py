"""The command line as a user meets it: what it lists, what it imports, and what it says to bad input."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aftercall.cli import COMMANDS, main
from aftercall.errors import EXIT_SOME_REJECTED
from aftercall.settings import PREFIX
from tests.fixtures.workers import read_status, write_source

NO_REDIS = "redis://:secret@127.0.0.1:1/0"


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    exit_code: int
    output: str
    errors: str


@pytest.fixture
def aftercall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Calls the command in an empty folder, with a data folder of its own and no Redis."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFTERCALL_REDIS_URL", NO_REDIS)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*args: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, captured.out, captured.err)

    return call


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


@pytest.mark.parametrize(
    "args", [["--help"], *([name, "--help"] for name in COMMANDS), ["submit", "--dry-run", "a.csv"], ["doctor"]]
)
def test_no_command_line_imports_torch(args: list[str], tmp_path: Path) -> None:
    write_source(tmp_path / "a.csv", ["a"])
    script = (
        "import sys\n"
        "from aftercall.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(sorted({'torch', 'transformers', 'peft'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *args], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


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
    Case("unknown header", 3, "--map 'id=a,transcript=b'", b"a,b\n1,2\n"),
    Case("workbook", 3, "export it as CSV", b"PK\x03\x04rest"),
    Case("folder", 3, "this is a folder", args=("submit", ".")),
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
    Case("no schema", 12, "Run `aftercall db upgrade`", setting=("DATABASE_URL", "sqlite:///other.db")),
    Case("unknown submission", 11, "there is no submission 7", args=("export", "7", "--out", "x.csv")),
    Case("nothing to cancel", 11, "there is no submission 7", args=("cancel", "7")),
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
