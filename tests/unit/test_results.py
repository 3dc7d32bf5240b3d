"""The results file of a night: written again for the same source, and kept where another one left it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import account, intake, work
from producer.results import write_results


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Engine]:
    """An empty ledger."""
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def submit(ledger: Engine, digest: str, texts: Mapping[str, str]) -> int:
    """A submission of these conversations by id, of which none is summarized yet."""
    submission_id = intake.open_submission(ledger, "n.csv", digest)
    jobs = [
        intake.NewJob(external_id, position, text, intake.make_job_key(text, "1"), "1", is_sufficient=True)
        for position, (external_id, text) in enumerate(texts.items())
    ]
    intake.add_jobs(ledger, submission_id, jobs)
    return submission_id


def summarize(ledger: Engine, job_id: int, text: str) -> None:
    """Give a job its summary."""
    work.complete(
        ledger,
        [work.SummaryRecord(job_id, text, text, "b", "none", "f", "1", "1", "{}", 100, 20, "stop", 0.9, 0.5, "w")],
    )


def test_the_same_source_replaces_its_results(ledger: Engine, tmp_path: Path) -> None:
    out = tmp_path / "n.summaries.csv"
    submission_id = submit(ledger, "first", {"a": "user: one\n", "=b": "user: two\n"})
    summarize(ledger, 1, "=a formula")
    assert write_results(ledger, submission_id, out) is None
    summarize(ledger, 2, "the second")
    for _ in range(2):
        assert write_results(ledger, submission_id, out) is None
        assert "the second" in out.read_text()
    assert [each.name for each in tmp_path.glob("n.*")] == [out.name]


@pytest.mark.parametrize(
    "others",
    [{"x": "user: one\n", "y": "user: two\n"}, {"a": "user: three\n", "b": "user: four\n"}, {"a": "user: one\n"}],
    ids=["other ids", "the same ids with other texts", "fewer conversations"],
)
def test_results_of_another_source_of_the_same_name_are_kept(
    others: dict[str, str], ledger: Engine, tmp_path: Path
) -> None:
    out, kept = tmp_path / "n.summaries.csv", tmp_path / "n.summaries.csv~"
    for digest, texts in (("first", {"a": "user: one\n", "b": "user: two\n"}), ("second", others)):
        submission_id = submit(ledger, digest, texts)
        for job_id in range(1, 5):
            if account.account(ledger, submission_id).open:
                summarize(ledger, job_id, f"summary {job_id}")
        older = out.read_bytes() if out.exists() else None
        assert write_results(ledger, submission_id, out) == (kept if older else None)
    assert kept.read_bytes() == older
    assert len(out.read_text().splitlines()) == 1 + len(others)
