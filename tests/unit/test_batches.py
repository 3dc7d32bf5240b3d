"""A source in batches, read in this process or ahead in a second one."""

import gzip
import os
import random
import signal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from producer import batches
from producer.batches import Prepared, prepare, read_batches
from producer.source import Rejected, open_source
from tests.fixtures.workers import wait_until
from tests.unit.sources import to_csv, write

LONG = "user: " + "a long story " * 20_000


@pytest.fixture
def source_path(tmp_path: Path) -> str:
    """Conversations for more than one batch, one of them longer than the csv module takes by itself, one row broken."""
    rows = [["id", "transcript"], *([str(number), f"user: order {number} is late"] for number in range(2_500))]
    rows[1_200] = ["long", LONG]
    rows[1_300] = ["empty", ""]
    return str(write(tmp_path, to_csv(rows)))


def test_reading_ahead_gives_what_reading_here_gives(source_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    monkeypatch.setattr(batches, "NUM_FIRST", 1)
    with open_source(source_path) as source:
        ahead, here = list(read_batches(source)), list(prepare(source))

    assert ahead == here
    rows = [row for batch in here for row in batch]
    prepared = [row for row in rows if isinstance(row, Prepared)]
    assert [row.job.position for row in prepared] == list(range(2_499))
    assert any(len(row.job.text) > 200_000 for row in prepared)
    [rejected] = (row for row in rows if isinstance(row, Rejected))
    assert rejected.row == ("empty", "")


def test_the_first_conversations_do_not_wait_for_the_second_process(
    source_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    monkeypatch.setattr(batches, "NUM_FIRST", 2)
    monkeypatch.setattr(batches, "_next", lambda *args: pytest.fail("waited for the second process"))
    with open_source(source_path) as source:
        assert list(islice(read_batches(source), 2)) == list(islice(prepare(source), 2))


def test_a_batch_is_bounded_by_its_characters_too(source_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCH_CHARS", 1_000)
    with open_source(source_path) as source:
        sizes = [sum(len(row.job.text) for row in batch if isinstance(row, Prepared)) for batch in prepare(source)]

    assert len(sizes) > 50
    assert max(sizes) < len(LONG) + 1_000


def test_a_source_that_breaks_off_while_it_is_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    path = tmp_path / "night.csv.gz"
    text = to_csv(
        [["id", "transcript"], *([str(number), f"user: {random.randbytes(500).hex()}"] for number in range(500))]
    )
    path.write_bytes(gzip.compress(text.encode()))
    with open_source(str(path)) as source:
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(SourceError, match=r"night\.csv\.gz: changed while it was read"):
            list(read_batches(source))


def test_a_reader_that_dies_is_noticed(source_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    monkeypatch.setattr(batches, "NUM_FIRST", 1)
    with open_source(source_path) as source:
        reading = read_batches(source)
        next(reading)
        [reader] = batches.multiprocessing.active_children()
        os.kill(reader.pid or 0, signal.SIGKILL)
        with pytest.raises(SourceError, match="submit it again to go on"):
            list(reading)


def test_a_reader_that_dies_in_the_middle_of_a_batch_is_noticed(
    source_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    monkeypatch.setattr(batches, "NUM_FIRST", 1)
    next_batch = batches._next

    def kill_first(pipe: Any, reader: Any, name: str) -> Any:
        # The batch is longer than what a pipe holds, and nobody reads it yet.
        wait_until(pipe.poll, "the beginning of a batch")
        reader.kill()
        return next_batch(pipe, reader, name)

    monkeypatch.setattr(batches, "_next", kill_first)
    with open_source(source_path) as source, pytest.raises(SourceError, match="submit it again to go on"):
        list(read_batches(source))
