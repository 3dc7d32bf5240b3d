"""Redaction on a conversation's way into the ledger: its text, its identity, what inspect shows, and training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.ledger.intake import make_job_key
from aftercall.redaction import Mode
from producer.batches import Prepared, prepare
from producer.clean import CLEANER_VERSION
from producer.free_disk import DiskFloor, DiskFullError
from producer.source import SourceOptions, open_source
from tests.fixtures.command import Answer
from tests.unit.sources import to_csv, write
from training.data.dataset import load_examples
from training.data.labelled import Reading

TEXT = "user: I wrote from kate@example.com, order 4155552671 is late\nagent: Hello, we look into it for you"


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write(tmp_path, to_csv([["id", "transcript"], ["1", TEXT]])))


def prepare_one(source: str, mode: Mode) -> Prepared:
    with open_source(source, SourceOptions(redact=mode)) as opened:
        ((row,),) = prepare(opened)
    assert isinstance(row, Prepared)
    return row


def test_a_job_holds_the_redacted_text_and_its_identity_says_so(source: str) -> None:
    standard, off = prepare_one(source, "standard").job, prepare_one(source, "off").job
    assert "I wrote from [EMAIL_1], order 4155552671 is late" in standard.text
    assert standard.cleaner_version == f"{CLEANER_VERSION}+r1s"
    assert standard.job_key == make_job_key(standard.text, standard.cleaner_version)
    # As before there was redaction, so that an old ledger goes on.
    assert "kate@example.com" in off.text
    assert (off.cleaner_version, off.job_key) == (CLEANER_VERSION, make_job_key(off.text, CLEANER_VERSION))


def test_the_same_file_redacted_otherwise_is_another_submission(source: str) -> None:
    modes: tuple[Mode, ...] = ("off", "standard", "strict")
    digests = set()
    for mode in modes:
        with open_source(source, SourceOptions(redact=mode)) as opened:
            digests.add(opened.digest)
    with open_source(source) as opened:
        assert opened.digest in digests
    assert len(digests) == len(modes)


def test_a_placeholder_is_no_word_of_the_customer(tmp_path: Path) -> None:
    path = write(tmp_path, to_csv([["id", "transcript"], ["1", "user: a1@x.example b2@x.example c3@x.example ok"]]))
    assert prepare_one(str(path), "off").job.is_sufficient == prepare_one(str(path), "standard").job.is_sufficient


def test_training_reads_the_text_that_serving_sends(source: str, tmp_path: Path) -> None:
    labelled = write(
        tmp_path, to_csv([["id", "transcript", "summary"], ["1", TEXT, "Customer kate@example.com waits."]]), "l.csv"
    )
    (example,) = load_examples(str(labelled), "train", Reading(SourceOptions(redact="standard")))
    assert example.text == prepare_one(source, "standard").job.text
    assert example.references == ("Customer [EMAIL_1] waits.",)


def test_inspect_shows_redacted_text_and_counts(aftercall: Callable[..., Answer], source: str) -> None:
    shown = aftercall("inspect", source)
    assert "redacted      1 EMAIL" in shown.output
    assert "> user: I wrote from [EMAIL_1], order" in shown.output
    lines = aftercall("inspect", source, "--format", "jsonl")
    assert "[EMAIL_1]" in json.loads(lines.output)["turns"][0]["text"]
    assert json.loads(lines.errors.splitlines()[-1])["redacted"] == {"EMAIL": 1}


def test_inspect_says_that_redaction_is_off(
    aftercall: Callable[..., Answer], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_REDACT", "off")
    assert "redacted      off" in aftercall("inspect", source).output


def test_with_too_little_free_disk_nothing_is_submitted(
    aftercall: Callable[..., Answer], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_MIN_FREE_BYTES", str(10**18))
    answer = aftercall("submit", source)
    assert answer.exit_code == 1
    assert "bytes of disk are free, and AFTERCALL_MIN_FREE_BYTES asks for 1,000,000,000,000,000,000" in answer.errors
    assert "no submission" in aftercall("status").output or "nothing" in aftercall("status").output


def test_the_floor_is_looked_at_where_the_data_is(tmp_path: Path) -> None:
    DiskFloor((tmp_path,), 1).check()
    DiskFloor((tmp_path,), 0).check()
    with pytest.raises(DiskFullError, match="Make room"):
        DiskFloor((tmp_path,), 10**18).check()
