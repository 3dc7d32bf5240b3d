"""Sources whose names are no text, or no names at all."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.command import Answer

#: As a computer of another language writes it: no UTF-8.
NAME = os.fsdecode(b"n\xe4chte.csv")
ROWS = "conversation_id,transcript\na,Customer: my order did not arrive yet\nonly one cell\n"


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="its file systems take only names in UTF-8")
def test_a_name_that_is_no_utf_8_is_stored_and_shown_with_a_replacement(aftercall: Callable[..., Answer]) -> None:
    Path(NAME).write_text(ROWS)
    assert "n�chte.csv (conversations, utf-8): would be submitted" in aftercall("submit", "--dry-run", NAME).output
    Path(f"{NAME}.rejected.csv").write_text("corrected by hand")
    answer = aftercall("submit", NAME)

    assert "n�chte.csv (conversations, utf-8): submission 1" in answer.output
    assert "1 rejected, all of them in n�chte.csv.rejected.csv:" in answer.output
    assert "the older n�chte.csv.rejected.csv is kept as n�chte.csv.rejected.csv~" in answer.output
    assert "n�chte.csv" in aftercall("status").output
    assert "n�chte.csv: no such file" in aftercall("submit", "--dry-run", f"missing-{NAME}").errors
    assert "passed over n�chte.csv.rejected.csv" in aftercall("submit", NAME, f"{NAME}.rejected.csv").output


def test_a_name_that_only_looks_foreign_is_shown_as_it_is(aftercall: Callable[..., Answer]) -> None:
    Path("nächte.csv").write_text(ROWS)
    assert "nächte.csv (conversations, utf-8)" in aftercall("submit", "--dry-run", "nächte.csv").output


def test_what_comes_through_a_descriptor_is_committed(aftercall: Callable[..., Answer]) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(ROWS)

    thread = threading.Thread(target=write)
    thread.start()
    answer = aftercall("submit", f"/dev/fd/{reading}")
    thread.join()
    os.close(reading)

    assert "submission 1 is committed" in answer.errors
    assert f"1 rejected, all of them in {reading}.rejected.csv" in answer.output
    assert "only one cell" in Path(f"{reading}.rejected.csv").read_text()
