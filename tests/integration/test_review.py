"""Reviews on both databases: exporting summaries, importing corrections, and what a training file keeps."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, delete, event, update

from aftercall.errors import AftercallError, NotFoundError, SourceError
from aftercall.models import Job, SubmissionJob, Summary
from tests.fixtures.reviews import edit, read, submit_thirty
from training import adapters_cli
from training.context import open_context
from training.data.dataset import load_examples
from training.data.review import REVIEW_COLUMNS, Draw, export_review
from training.data.review_import import ImportReport, import_review
from training.data.splits import load_splits, merge_examples


@pytest.fixture
def summarized(database: Engine) -> int:
    """The number of the submission."""
    submit_thirty(database)
    return 1


def test_corrections_become_training_rows(database: Engine, summarized: int, tmp_path: Path) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    assert export_review(database, summarized, review, Draw(25)) == 25
    with review.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["summary"].startswith("'=late") for row in rows)

    names = [row["id"] for row in rows[:20]]
    edit(review, {name: f"Customer of {name} waits." for name in names} | {rows[20]["id"]: rows[20]["summary"]})
    report = import_review(database, review, training)
    assert (report.num_corrected, report.num_unchanged, report.num_rows) == (20, 5, 20)

    edit(review, {names[0]: "Customer waits again."})
    assert import_review(database, review, training).num_rows == 20
    splits = load_splits([str(training)])
    references = {
        example.conversation.external_id: example.references for example in [*splits.train, *splits.validation]
    }
    assert set(references) == set(names)
    assert references[names[0]] == ("Customer waits again.",)
    assert all(example.text.startswith("user: order ") for example in splits.train)


def test_a_row_whose_trailing_cells_were_omitted_is_unchanged(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, Draw(3))
    edit(review, {})
    rows = [list(row.values()) for row in read(review)]
    with review.open("w", newline="") as file:
        csv.writer(file).writerows(
            [list(REVIEW_COLUMNS), rows[0][:4], rows[1][:3], [*rows[2][:4], "Customer waits again."]]
        )
    report = import_review(database, review, training)
    assert (report.num_corrected, report.num_unchanged, report.num_rows) == (1, 2, 1)


def test_a_review_in_a_spreadsheets_own_encoding_says_how_to_save_it(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, Draw(1))
    edit(review, {})
    review.write_bytes((review.read_text().rstrip() + "Café customer waits.\n").encode("cp1252"))
    with pytest.raises(SourceError, match=r"review\.csv: not UTF-8 .*save it as CSV UTF-8"):
        import_review(database, review, training)
    assert not training.exists()


def test_a_missing_review_says_where_one_comes_from(database: Engine, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file; `aftercall review export` writes one"):
        import_review(database, tmp_path / "review.csv", tmp_path / "training.csv")


def test_a_review_of_another_database_is_refused_whole(database: Engine, summarized: int, tmp_path: Path) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, Draw(2))
    header = review.read_text().splitlines()[0]
    review.write_text(f"{header}\n999,case-999,user: x,old,New summary.\n")
    with pytest.raises(SourceError, match=r"review\.csv: none of its jobs is in this database"):
        import_review(database, review, training)
    assert not training.exists()


def correct_all(database: Engine, folder: Path, num_rows: int, corrected: str) -> Path:
    """A review in which every row is corrected."""
    review = folder / "review.csv"
    export_review(database, 1, review, Draw(num_rows))
    edit(review, {row["id"]: corrected for row in read(review)})
    return review


def test_a_training_file_keeps_its_rows_and_columns_but_for_the_corrected_conversation(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review = correct_all(database, tmp_path, 1, "Customer waits again.")
    (number,) = (row["job"] for row in read(review))
    ours = tmp_path / "ours.csv"
    rows = [[f"user: {word} is late", f"Reference {each}.", "by hand"] for word in ("my parcel",) for each in (1, 2, 3)]
    rows += [[f"user: order {number} is late", f"Reference {each}.", ""] for each in (1, 2)]
    with ours.open("w", newline="") as file:
        csv.writer(file).writerows([["conversation", "summary", "note"], *rows])
    assert import_review(database, review, ours).num_rows == 4
    kept = [list(row.values()) for row in read(ours)]
    assert kept == [
        *([*row, "", "", ""] for row in rows[:3]),
        [f"user: order {number} is late\n", "Customer waits again.", "", "review", f"=late {number}", ""],
    ]


def test_without_corrections_no_file_is_written(database: Engine, summarized: int, tmp_path: Path) -> None:
    review, ours = tmp_path / "review.csv", tmp_path / "ours.csv"
    export_review(database, summarized, review, Draw(3))
    assert import_review(database, review, ours) == ImportReport(0, 3, 0, 0)
    assert not ours.exists()
    for older in ("", "id,conversation,summary\n"):
        ours.write_text(older)
        import_review(database, review, ours)
        assert ours.read_text() == older
    edit(review, {read(review)[0]["id"]: "Customer waits again."})
    assert import_review(database, review, ours) == ImportReport(1, 2, 0, 1)


@pytest.mark.parametrize(
    ("corrected", "problem"),
    [
        ("ok", "the correction 'ok' has fewer than 3 words; write a whole summary"),
        ("-", "the correction '-' has fewer than 3 words; write a whole summary"),
        ("looks good", "the correction 'looks good' has fewer than 3 words; write a whole summary"),
        ("word " * 1000, "the correction has 4,999 characters; a summary has at most 1,500"),
        ("user: order {} is late", "the correction 'user: order {} is late' is copied from the conversation"),
        ("order {} is late", "the correction 'order {} is late' is copied from the conversation"),
    ],
)
def test_an_unusable_correction_is_reported_and_the_others_are_imported(
    corrected: str, problem: str, database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, ours = tmp_path / "review.csv", tmp_path / "ours.csv"
    export_review(database, summarized, review, Draw(2))
    bad, good = read(review)
    edit(review, {bad["id"]: corrected.format(bad["job"])})
    report = import_review(database, review, ours)
    assert (report.num_corrected, ours.exists()) == (0, False)
    edit(review, {bad["id"]: corrected.format(bad["job"]), good["id"]: "Customer waits again."})
    report = import_review(database, review, ours)
    assert (report.num_corrected, report.num_unchanged, report.num_rows) == (1, 0, 1)
    (sentence,) = report.unusable
    assert sentence.startswith(f"{review}, line ")
    assert problem.format(bad["job"]) in sentence


def change(path: Path, column: str, values: list[str]) -> None:
    rows = read(path)
    for row, value in zip(rows, values, strict=True):
        row[column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("column", ["job", "id", "conversation", "summary"])
def test_one_column_sorted_by_itself_is_refused_with_its_lines(
    column: str, database: Engine, summarized: int, tmp_path: Path
) -> None:
    review = correct_all(database, tmp_path, 3, "Customer waits again.")
    change(review, column, sorted((row[column] for row in read(review)), reverse=True))
    differing = {"job": "id and conversation and summary"}.get(column, column)
    with pytest.raises(
        SourceError, match=rf"review\.csv, line \d+: {differing} not as exported for job .*Nothing is imp"
    ):
        import_review(database, review, tmp_path / "ours.csv")
    assert not (tmp_path / "ours.csv").exists()


def test_a_summary_corrected_in_its_own_column_is_refused(database: Engine, summarized: int, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    export_review(database, summarized, review, Draw(1))
    change(review, "summary", ["Customer waits again."])
    with pytest.raises(
        SourceError, match=r"summary not as exported for job \d+\. .*write corrections in the column `corr"
    ):
        import_review(database, review, tmp_path / "ours.csv")


def test_two_reviewers_of_one_conversation_are_both_kept(database: Engine, summarized: int, tmp_path: Path) -> None:
    ours = tmp_path / "ours.csv"
    for reviewer, summary in (("ann", "Customer waits again."), ("bob", "The order is late.")):
        review = tmp_path / f"{reviewer}.csv"
        export_review(database, summarized, review, Draw(1))
        edit(review, {read(review)[0]["id"]: summary})
        import_review(database, review, ours)
    (example,) = merge_examples(load_examples(str(ours), "train"))
    assert example.references == ("Customer waits again.", "The order is late.")
    edit(tmp_path / "bob.csv", {read(tmp_path / "bob.csv")[0]["id"]: "The order has not come."})
    assert import_review(database, tmp_path / "bob.csv", ours).num_rows == 2
    (example,) = merge_examples(load_examples(str(ours), "train"))
    assert example.references == ("Customer waits again.", "The order has not come.")


def test_two_rows_of_one_conversation_in_one_file_are_both_kept(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, ours = tmp_path / "review.csv", tmp_path / "ours.csv"
    export_review(database, summarized, review, Draw(1))
    (row,) = read(review)
    with review.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*row, "reviewer"])
        writer.writeheader()
        for reviewer, summary in (("ann", "Customer waits again."), ("bob", "The order is late.")):
            writer.writerow(row | {"corrected": summary, "reviewer": reviewer})
    assert import_review(database, review, ours).num_rows == 2
    assert [row["reviewer"] for row in read(ours)] == ["ann", "bob"]


def test_a_copy_of_the_guarded_summary_is_not_a_correction(database: Engine, summarized: int, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    export_review(database, summarized, review, Draw(3))
    guarded = {row["id"]: row["summary"] for row in read(review)}
    assert all(summary.startswith("'=") for summary in guarded.values())
    edit(review, guarded)
    assert import_review(database, review, tmp_path / "ours.csv") == ImportReport(0, 3, 0, 0)


def test_a_summary_that_starts_with_an_apostrophe_itself_is_not_a_correction(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    with database.begin() as connection:
        connection.execute(update(Summary).where(Summary.job_id == 7).values(text="'=late, said the customer"))
    review = tmp_path / "review.csv"
    export_review(database, summarized, review, Draw(30))
    edit(review, {row["id"]: row["summary"] for row in read(review)})
    assert import_review(database, review, tmp_path / "ours.csv") == ImportReport(0, 30, 0, 0)


def test_a_training_file_has_to_be_named_as_one(database: Engine, summarized: int, tmp_path: Path) -> None:
    review = correct_all(database, tmp_path, 1, "Customer waits again.")
    with pytest.raises(SourceError, match=r"ours\.txt: a training file .* ends in \.csv"):
        import_review(database, review, tmp_path / "ours.txt")
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "ours.csv")
    with pytest.raises(AftercallError, match="is not a regular file and is left alone"):
        import_review(database, review, link)
    assert import_review(database, review, tmp_path / "ours.csv").num_rows == 1


@pytest.mark.parametrize("job", ["99999999999999999999", "9" * 5000, "-1", ""])
def test_an_invalid_job_number_is_refused(job: str, database: Engine, summarized: int, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    review.write_text(f"job,id,conversation,summary,corrected\n{job},a,user: x,old,New summary.\n")
    with pytest.raises(SourceError, match=r"review\.csv, line 2: '.*' is not a job number; leave that column"):
        import_review(database, review, tmp_path / "ours.csv")


def test_an_id_that_looks_like_a_formula_survives_the_round_trip(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    formula = '=HYPERLINK("http://x")'
    with database.begin() as connection:
        connection.execute(update(SubmissionJob).where(SubmissionJob.job_id == 7).values(external_id=formula))
    review, ours = tmp_path / "review.csv", tmp_path / "ours.csv"
    export_review(database, summarized, review, Draw(30))
    assert f"'{formula}" in {row["id"] for row in read(review)}
    edit(review, {f"'{formula}": "Customer waits again."})
    import_review(database, review, ours)
    assert [example.conversation.external_id for example in load_examples(str(ours), "train")] == [formula]


def test_a_purged_conversation_is_skipped_and_the_others_are_imported(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review = correct_all(database, tmp_path, 3, "Customer waits again.")
    purged = int(read(review)[1]["job"])
    with database.begin() as connection:
        for table in (Summary, SubmissionJob):
            connection.execute(delete(table).where(table.job_id == purged))
        connection.execute(delete(Job).where(Job.id == purged))
    assert import_review(database, review, tmp_path / "ours.csv") == ImportReport(2, 0, 1, 2)


def test_only_the_drawn_conversations_are_read(database: Engine, summarized: int, tmp_path: Path) -> None:
    asked: list[object] = []
    event.listen(database, "before_cursor_execute", lambda _0, _1, sql, given, _4, _5: asked.append((sql, given)))
    export_review(database, summarized, tmp_path / "review.csv", Draw(2))
    (of_texts,) = (given for sql, given in asked if "job.text" in sql)
    drawn = [int(row["job"]) for row in read(tmp_path / "review.csv")]
    values = list(of_texts.values()) if isinstance(of_texts, dict) else list(of_texts)
    assert values == [summarized, *drawn]


def test_a_missing_submission_and_one_without_summaries_differ(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="there is no submission 99"):
        export_review(database, 99, tmp_path / "review.csv", Draw(1))
    with database.begin() as connection:
        connection.execute(delete(Summary))
    with pytest.raises(SourceError, match="has no summaries yet"):
        export_review(database, summarized, tmp_path / "review.csv", Draw(1))


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own with a review of two rows, one of them purged."""
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    with open_context() as context:
        submit_thirty(context.database)
        review = correct_all(context.database, tmp_path, 2, "Customer waits again.")
        with context.database.begin() as connection:
            purged = int(read(review)[1]["job"])
            for table in (Summary, SubmissionJob):
                connection.execute(delete(table).where(table.job_id == purged))
    return review


def type_review(*args: object) -> Result:
    return CliRunner().invoke(adapters_cli.review, [str(arg) for arg in args])


def test_the_command_counts_what_became_of_each_row(typed: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours.csv"
    imported = type_review("import", typed, "--out", ours)
    assert imported.stdout == f"1 corrected, 0 left as they were; {ours} now has 1 rows\n"
    assert imported.stderr == "1 left out: their conversations are no longer in this database\n"
    edit(typed, {})
    assert type_review("import", typed, "--out", ours).stdout == (
        f"0 corrected, 1 left as they were; {ours} is unchanged\n"
    )


def test_a_number_of_rows_below_one_is_refused(typed: Path, tmp_path: Path) -> None:
    for num_rows in (0, -5):
        assert type_review("export", 1, "--out", tmp_path / "out.csv", "--rows", num_rows).exit_code == 2
