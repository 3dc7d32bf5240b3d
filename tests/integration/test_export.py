"""Results as files: every conversation on its line, in order, and nothing that a spreadsheet would run."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.errors import NotFoundError
from aftercall.ledger import intake, work
from aftercall.ledger.account import count_to_review
from aftercall.models import SubmissionJob
from producer.export import FIELD_COLUMNS, PROVENANCE_COLUMNS, RESULT_COLUMNS, Format, export


def submit(database: Engine, ids: list[str]) -> int:
    submission_id = intake.open_submission(database, "night.csv", "digest")
    texts = [f"user: conversation {external_id}\n" for external_id in ids]
    jobs = [
        intake.NewJob(external_id, position, text, intake.make_job_key(text, "1"), "1", is_sufficient=True)
        for position, (external_id, text) in enumerate(zip(ids, texts, strict=True))
    ]
    intake.add_jobs(database, submission_id, jobs)
    return submission_id


def job_id_of(database: Engine, external_id: str) -> int:
    with reading(database) as connection:
        found = select(SubmissionJob.job_id).where(SubmissionJob.external_id == external_id)
        return int(connection.execute(found).scalar_one())


def complete(database: Engine, texts: dict[int, str]) -> None:
    work.complete(database, [record(job_id, text) for job_id, text in texts.items()])


def record(job_id: int, text: str, **more: Any) -> work.SummaryRecord:
    return work.SummaryRecord(
        job_id, "adapter-1", text, "base", "nf4", "bfloat16", "1", "1", '{"top_k": 50}', 100, 20, "stop",
        0.87654, 0.123456789, "worker-1", **more,
    )  # fmt: skip


def read(path: Path, format: Format) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)) if format == "csv" else [json.loads(line) for line in file]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_every_conversation_stands_on_its_line_in_the_order_of_the_source(
    format: Format, tmp_path: Path, database: Engine
) -> None:
    ids = ["z", "a", "m", "zażółć 🙏"]
    submission_id = submit(database, ids)
    first, second, third, _ = (job_id_of(database, external_id) for external_id in ids)
    complete(database, {third: "The third, with a comma and a\nbreak", first: "The first"})
    work.claim(database, [second], work.Lease("w", 60.0), 1)
    work.fail(database, work.JobFailure(second, "engine_error", "a reason", is_final=True), "w", 1, 0.0)

    out = tmp_path / "results"
    assert export(database, submission_id, out, format, with_provenance=False) == 4
    rows = read(out, format)
    assert [row["id"] for row in rows] == ids
    assert [row["state"] for row in rows] == ["done", "failed", "done", "queued"]
    assert [row["summary"] or "" for row in rows] == ["The first", "", "The third, with a comma and a\nbreak", ""]
    assert (rows[1]["error_code"], rows[1]["error"]) == ("engine_error", "a reason")
    assert float(rows[0]["coverage"]) == 0.8765
    assert tuple(rows[0]) == RESULT_COLUMNS + FIELD_COLUMNS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_verdict_and_the_fields_of_a_summary_are_in_every_export(tmp_path: Path, database: Engine) -> None:
    submission_id = submit(database, ["a", "b"])
    fields = {"issue": "A kettle broke.", "resolution": "resolved", "resolution_p": 0.75, "reason": "quality"}
    verdict = {"needs_review": True, "risk": 0.8, "reasons": '["number", "actor"]', "evidence": "[[1, 3], []]"}
    [first, second] = work.claim(database, [1, 2], work.Lease("worker-1", 60.0), 3)
    work.complete(database, [record(first.job_id, "One", **fields, **verdict), record(second.job_id, "Two")])

    export(database, submission_id, tmp_path / "out.csv", "csv", with_provenance=False)
    export(database, submission_id, tmp_path / "out.jsonl", "jsonl", with_provenance=False)
    [one, two] = read(tmp_path / "out.csv", "csv")
    assert (one["needs_review"], one["reasons"], one["evidence"]) == ("true", "number actor", "1,3 -")
    assert (one["issue"], one["resolution"], one["resolution_p"], one["reason"]) == tuple(map(str, fields.values()))
    assert (two["needs_review"], two["reasons"], two["issue"]) == ("", "", "")
    [same, old] = read(tmp_path / "out.jsonl", "jsonl")
    assert (same["needs_review"], same["reasons"], same["evidence"]) == (True, ["number", "actor"], [[1, 3], []])
    assert old["needs_review"] is None
    assert count_to_review(database, submission_id) == 1


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_provenance_says_what_made_each_summary(format: Format, tmp_path: Path, database: Engine) -> None:
    submission_id = submit(database, ["a", "b"])
    complete(database, {1: "The first"})
    export(database, submission_id, tmp_path / "out", format, with_provenance=True)

    [made, waiting] = read(tmp_path / "out", format)
    assert set(PROVENANCE_COLUMNS) <= set(made)
    assert (made["adapter_digest"], made["quantization"], made["worker"]) == ("adapter-1", "nf4", "worker-1")
    assert (str(made["num_prompt_tokens"]), str(made["duration_s"])) == ("100", "0.123")
    assert not waiting.get("quantization")


@pytest.mark.parametrize(
    ("summary", "cell"),
    [
        ('=HYPERLINK("http://evil")', '\'=HYPERLINK("http://evil")'),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-12.50", "-12.50"),
        ("+49 170 1234", "'+49 170 1234"),
        ("A customer = a friend", "A customer = a friend"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_formula_is_text_to_a_spreadsheet_and_stays_itself_in_json(
    summary: str, cell: str, tmp_path: Path, database: Engine
) -> None:
    submission_id = submit(database, ["=1+1"])
    complete(database, {1: summary})
    export(database, submission_id, tmp_path / "out.csv", "csv", with_provenance=False)
    export(database, submission_id, tmp_path / "out.jsonl", "jsonl", with_provenance=False)

    [row] = read(tmp_path / "out.csv", "csv")
    assert (row["id"], row["summary"]) == ("'=1+1", cell)
    [record] = read(tmp_path / "out.jsonl", "jsonl")
    assert (record["id"], record["summary"]) == ("=1+1", summary)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_unknown_submission_leaves_an_older_file_alone(tmp_path: Path, database: Engine) -> None:
    out = tmp_path / "out.csv"
    out.write_text("older")
    with pytest.raises(NotFoundError):
        export(database, 7, out, "csv", with_provenance=False)
    assert out.read_text() == "older"
