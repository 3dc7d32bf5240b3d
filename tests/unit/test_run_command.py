"""`aftercall run` before, beside and after its work: what it asks for again, and what it shows."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.ledger.account import Account, Result
from aftercall.ledger.work import SummaryRecord
from aftercall.settings import Settings
from producer import show
from producer.cli import run
from producer.progress import showing_progress
from producer.run import RunRequest
from producer.source_options import read_options
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source

LOADING = Account(submitted=65, waiting=65, running=0, done=0, failed=0, cancelled=0, insufficient=0)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--out", "a b.csv"],
        ["--map", "id=Fall,transcript=Verlauf", "--encoding", "cp1252", "--delimiter", "tab"],
        ["--delimiter", ";"],
        ["--layout", "intercom", "--agents", "Maria*,Tom O'Neil", "--customers", "*@example.com"],
        ["--keep-notes", "--strict"],
        ["--priority", "high"],
    ],
    ids=" ".join,
)
def test_the_command_to_go_on_with_asks_for_the_same(given: list[str], aftercall: Callable[..., Answer]) -> None:
    told = run.make_context("run", ["night of the 1st.csv", *given]).params
    out = told.pop("out") or Path("night of the 1st.summaries.csv")
    priority = told.pop("priority")
    read = read_options({name: value for name, value in told.items() if name not in ("source", "is_json")})
    request = RunRequest("night of the 1st.csv", read, out, Path("rejected.csv"), priority)

    words = shlex.split(request.command)
    assert words[:3] == ["aftercall", "run", "night of the 1st.csv"]
    assert run.make_context("run", words[2:]).params == run.make_context("run", [request.source, *given]).params


def test_several_sources_are_too_many_for_one_night(aftercall: Callable[..., Answer]) -> None:
    names = [str(write_source(Path(f"{day}.csv"), "a")) for day in range(7)]
    answer = aftercall("run", *names)
    assert answer.exit_code == 2
    assert answer.errors.endswith("Error: run takes one source; `aftercall submit` takes several.\n")
    assert "Missing argument 'SOURCE'" in aftercall("run").errors


def test_while_the_model_is_converted_the_bar_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for is_converting in (True, False):
        partial = tmp_path / "models" / "smollm2.partial"
        partial.mkdir(parents=True) if is_converting else partial.rmdir()
        with showing_progress(LOADING, Settings(data_dir=tmp_path)) as show_standing:
            show_standing(LOADING, False)
        said = capsys.readouterr().out
        assert ("converting the model, once" in said, "loading the model" in said) == (is_converting, not is_converting)


@pytest.mark.parametrize(("num_done", "head"), [(7, "summary (the first 2 of 7)"), (2, "summary  ")])
def test_a_sample_says_of_how_many_it_is(num_done: int, head: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = SummaryRecord(1, "a", "the text", "b", "none", "f", "1", "1", "{}", 100, 20, "stop", 0.9, 0.5, "w")
    show.summaries((Result(str(number), "done", None, None, made) for number in range(num_done)), num_done, 2)
    said = capsys.readouterr().out
    assert head in said
    assert said.count("the text") == 2
