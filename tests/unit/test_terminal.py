"""What a terminal does to words: encodings that lack letters, and narrow windows."""

import sys
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import click
import pytest

from aftercall.cli import main
from aftercall.errors import AftercallError
from aftercall.terminal import show_error
from producer.export import FIELD_COLUMNS, RESULT_COLUMNS
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source

SENTENCE = "the database sqlite:///aftercall-data/aftercall.db has no tables yet. Run `aftercall db upgrade` " * 3


class Window(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def latin_stdout(monkeypatch: pytest.MonkeyPatch) -> BytesIO:
    """Take stdout for a terminal that has no letters but those of Western Europe."""
    stdout = TextIOWrapper(BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert isinstance(stdout.buffer, BytesIO)
    return stdout.buffer


def test_a_letter_that_the_terminal_lacks_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written = latin_stdout(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["export", "--help"])
    assert ended.value.code == 0
    assert b"model, adapter, ?" in written.getvalue()


def test_an_export_is_utf_8_whatever_the_terminal_has(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_source(Path("night.csv"), ["zażółć"])
    aftercall("submit", "night.csv")
    written = latin_stdout(monkeypatch)
    aftercall("export", "1", "--out", "-")
    assert written.getvalue().decode("utf-8").splitlines()[1] == "zażółć,queued" + "," * (
        len(RESULT_COLUMNS + FIELD_COLUMNS) - 2
    )


def test_an_error_is_wrapped_at_words_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window()
    monkeypatch.setattr(sys, "stderr", window)
    monkeypatch.setenv("COLUMNS", "60")
    show_error(AftercallError(SENTENCE))
    lines = click.unstyle(window.getvalue()).splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).split() == ["aftercall:", *SENTENCE.split()]


def test_an_error_is_one_line_to_a_program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    show_error(AftercallError(SENTENCE))
    assert capsys.readouterr().err == f"aftercall: {SENTENCE}\n"
