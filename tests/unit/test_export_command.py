"""`aftercall export` and what it says of conversations that are still to come."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fixtures.command import Answer, open_embedded
from tests.fixtures.workers import write_source


@pytest.fixture
def night(aftercall: Callable[..., Answer]) -> None:
    """A submission of seven that wait."""
    write_source(Path("night.csv"), "abcdefg")
    aftercall("submit", "night.csv")


def put(state: str, *job_ids: int) -> None:
    """Give jobs a state."""
    with open_embedded() as connection:
        for job_id in job_ids:
            connection.execute(text("UPDATE job SET state = :state WHERE id = :id"), {"state": state, "id": job_id})


@pytest.mark.usefixtures("night")
def test_an_unfinished_export_says_so(aftercall: Callable[..., Answer]) -> None:
    put("failed", 1, 2, 3)
    put("running", 4)
    written = "7 conversations written to out.csv"
    unfinished = "3 failed, 1 running, 3 waiting; export again when they are done\n"
    assert aftercall("export", "1", "--out", "out.csv").output == f"{written}: {unfinished}"
    assert aftercall("export", "1", "--out", "-").errors == unfinished


@pytest.mark.usefixtures("night")
def test_a_finished_export_is_just_written(aftercall: Callable[..., Answer]) -> None:
    put("cancelled", *range(1, 8))
    assert aftercall("export", "1", "--out", "out.csv").output == "7 conversations written to out.csv\n"
    assert aftercall("export", "1", "--out", "-").errors == ""


@pytest.mark.usefixtures("night")
def test_failures_on_stdout_are_nothing_but_failures(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("failures", "--out", "-")
    assert (len(answer.output.splitlines()), answer.errors) == (1, "")
