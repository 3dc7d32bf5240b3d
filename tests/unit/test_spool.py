"""The spool: finished summaries on disk while the database is away."""

import json
import os
from pathlib import Path

import pytest

from aftercall.ledger.work import SummaryRecord
from aftercall.message import MAX_CHUNK_JOBS
from worker.jobs.spool import Finished, Spool


def record(job_id: int, text: str = "A summary.") -> Finished:
    summary = SummaryRecord(job_id, "", text, "base", "none", "float32", "1", "1", "{}", 9, 2, "stop", 0.5, 0.25, "w")
    return Finished(f"key {job_id}", summary)


def test_what_is_kept_comes_back_whole_and_oldest_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    first = spool.keep([record(1), record(2, 'quotes " and 🙏 and \\ and\nbreaks')])
    second = spool.keep([record(3)])
    os.utime(first, (1, 1))

    assert list(Spool(tmp_path / "spool").files()) == [
        (first, [record(1), record(2, 'quotes " and 🙏 and \\ and\nbreaks')]),
        (second, [record(3)]),
    ]


def test_a_file_that_was_cut_off_while_it_was_written_is_not_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "half.part").write_text('[{"job_id": 1, "te')
    assert list(spool.files()) == []


def test_a_file_of_another_version_is_put_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    contents = ['[{"job_id": 1}]', '[{"job_key": "k", "summary": {"colour": "red"}}]', "half a fi"]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.json").write_text(content)
    kept = spool.keep([record(1)])
    assert list(spool.files()) == [(kept, [record(1)])]
    refused = {f"{number}.refused" for number in range(3)}
    assert {path.name for path in tmp_path.iterdir()} == {kept.name} | refused


def test_a_spool_that_was_never_used_is_empty(tmp_path: Path) -> None:
    assert list(Spool(tmp_path / "never").files()) == []


def test_what_another_worker_wrote_meanwhile_is_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    paths = [spool.keep([record(number)]) for number in range(1, 4)]
    files = spool.files()
    first, _ = next(files)
    second, third = (path for path in paths if path != first)
    second.unlink()

    assert [path for path, _ in files] == [third]


DAMAGE = {
    "a job id that is a list": {"job_id": [1]},
    "a job id that is text": {"job_id": "1"},
    "a job id that is true": {"job_id": True},
    "a job id of 2**63": {"job_id": 2**63},
    "a job id of 0": {"job_id": 0},
    "a text that is a number": {"text": 7},
    "a token count that is too large": {"num_prompt_tokens": 2**40},
    "a coverage that is not a number": {"coverage": float("nan")},
    "an endless duration": {"duration_s": float("inf")},
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_value_sets_its_file_aside_once(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path)
    damaged = spool.keep([record(1)])
    rows = json.loads(damaged.read_text())
    rows[0]["summary"] |= DAMAGE[kind]
    damaged.write_text(json.dumps(rows))
    kept = spool.keep([record(2)])
    mixed = spool.keep([record(3)])
    mixed.write_text(json.dumps([rows[0], json.loads(mixed.read_text())[0]]))

    assert dict(spool.files()) == {kept: [record(2)], mixed: [record(3)]}
    spool.drop(mixed)
    assert mixed.with_suffix(".refused").exists()
    assert list(spool.files()) == [(kept, [record(2)])]
    assert caplog.text.count("is damaged or of another version") == 2
    assert damaged.with_suffix(".refused").exists()


def test_a_file_with_more_than_a_chunk_is_set_aside(tmp_path: Path) -> None:
    # Its ids would be too many for one statement, in every round.
    Spool(tmp_path).keep([record(number) for number in range(1, MAX_CHUNK_JOBS + 2)])
    assert list(Spool(tmp_path).files()) == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".refused"]


@pytest.mark.parametrize("content", [b"", b"[" * 200_000, b"\xff", b"null", b"{}", b"[[]]", b'[{"job_key": 1}]'])
def test_a_damaged_file_is_set_aside(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "damaged.json").write_bytes(content)
    assert list(Spool(tmp_path).files()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.refused"]
