"""The registry on both databases: states, promotion as one step, rollback; and reviews out and in."""

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from aftercall.database import reading
from aftercall.errors import AdapterError, SourceError
from aftercall.models import Adapter, Job, Submission, SubmissionJob, Summary
from training import history, registry
from training.history import Action
from training.publish import Origin, publish
from training.registry import AdapterState, Trial
from training.review import export_review, import_review
from training.splits import load_splits


def make_adapter(parent: Path, rank: int, base: str = "tiny") -> Path:
    saved = parent / f"saved-{rank}"
    saved.mkdir()
    (saved / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (saved / "adapter_model.safetensors").write_bytes(b"weights")
    origin = Origin(base_model=base, base_digest=None, quantization="none", recipe="r", data_digest="d", metrics={})
    return publish(saved, parent / "adapters", origin)


@pytest.fixture
def three(database: Engine, tmp_path: Path) -> list[str]:
    """Three candidates."""
    return [registry.register(database, make_adapter(tmp_path, rank)).digest for rank in (1, 2, 3)]


def states(database: Engine) -> dict[str, AdapterState]:
    return {entry.digest: entry.state for entry in registry.entries(database)}


def promote(database: Engine, digest: str) -> None:
    """In place of whatever is active."""
    incumbent = registry.active(database, "tiny")
    registry.promote(database, digest, Trial(incumbent.digest if incumbent else None))


def changes(database: Engine) -> list[tuple[Action, str | None, str | None]]:
    with reading(database) as connection:
        entries = history.read(connection, "tiny")
    return [(entry.change.action, entry.change.adapter_digest, entry.change.replaced_digest) for entry in entries]


def test_a_promotion_retires_the_one_before(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    promote(database, second)
    assert states(database) == {
        first: AdapterState.RETIRED, second: AdapterState.ACTIVE, third: AdapterState.CANDIDATE
    }  # fmt: skip
    active = registry.active(database, "tiny")
    assert active and active.digest == second


def test_rolling_back_goes_back_step_by_step(database: Engine, three: list[str]) -> None:
    for digest in three:
        promote(database, digest)
    steps = [registry.rollback(database, "tiny") for _ in three]
    assert [(left.digest, back.digest if back else None) for left, back in steps] == [
        (three[2], three[1]), (three[1], three[0]), (three[0], None)
    ]  # fmt: skip
    with pytest.raises(AdapterError, match="nothing to roll back"):
        registry.rollback(database, "tiny")
    assert changes(database)[3:] == [
        (Action.ROLLBACK, three[1], three[2]), (Action.ROLLBACK, three[0], three[1]), (Action.ROLLBACK, None, three[0])
    ]  # fmt: skip


def test_a_rollback_brings_back_what_was_replaced_not_what_was_undone(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    promote(database, second)
    registry.rollback(database, "tiny")
    promote(database, third)
    left, back = registry.rollback(database, "tiny")
    assert (left.digest, back and back.digest) == (third, first)
    assert registry.rollback(database, "tiny")[1] is None


def test_each_change_stands_in_the_history_and_a_refused_one_does_not(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    with pytest.raises(AdapterError, match="changed by somebody else at this moment"):
        registry.promote(database, second, Trial(third))
    registry.promote(database, second, Trial(first, is_forced=True, report='{"differences": {}}'))
    assert changes(database) == [(Action.PROMOTE, first, None), (Action.PROMOTE, second, first)]
    with reading(database) as connection:
        last = history.read(connection)[-1].change
    assert (last.is_forced, last.report) == (True, '{"differences": {}}')


def test_an_adapter_that_cannot_be_brought_back_leaves_the_active_one(database: Engine, three: list[str]) -> None:
    first, second, _ = three
    promote(database, first)
    promote(database, second)
    (registry.find(database, first).path / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors is missing"):
        registry.rollback(database, "tiny")
    assert states(database)[second] is AdapterState.ACTIVE
    assert len(changes(database)) == 2


def test_the_database_itself_refuses_a_second_active_adapter(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(Adapter.__table__.update().values(state=AdapterState.ACTIVE))
    assert states(database)[three[0]] is AdapterState.ACTIVE


def test_a_folder_that_changed_is_not_promoted(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    (registry.find(database, three[1]).path / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(AdapterError, match="were changed after publishing"):
        promote(database, three[1])
    assert states(database)[three[0]] is AdapterState.ACTIVE


def test_digests_may_be_shortened_while_they_name_one(database: Engine, three: list[str]) -> None:
    assert registry.find(database, three[0][:8]).digest == three[0]
    with pytest.raises(AdapterError, match="`aftercall adapters list` shows all"):
        registry.find(database, "no-such")
    with pytest.raises(AdapterError, match="give more digits"):
        registry.find(database, "")


def test_registering_twice_changes_nothing(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    registry.register(database, registry.find(database, three[0]).path)
    assert states(database)[three[0]] is AdapterState.ACTIVE


@pytest.fixture
def summarized(database: Engine) -> int:
    """A submission of thirty conversations with their summaries."""
    with database.begin() as connection:
        connection.execute(insert(Submission).values(id=1, name="night.csv", source_digest="s", created_at=0.0))
        for number in range(1, 31):
            connection.execute(
                insert(Job).values(
                    id=number,
                    job_key=str(number),
                    text=f"user: order {number} is late\n",
                    cleaner_version="1",
                    state="done",
                    created_at=0.0,
                )
            )
            connection.execute(
                insert(SubmissionJob).values(
                    submission_id=1, external_id=f"case-{number}", position=number, job_id=number
                )
            )
            connection.execute(
                insert(Summary).values(
                    job_id=number,
                    adapter_digest="a",
                    text=f"=late {number}",
                    base_model="tiny",
                    quantization="none",
                    compute_dtype="float32",
                    prompt_version="1",
                    cleaner_version="1",
                    generation="{}",
                    num_prompt_tokens=1,
                    num_completion_tokens=1,
                    finish_reason="stop",
                    coverage=1.0,
                    duration_s=0.1,
                    worker="w",
                    created_at=0.0,
                )
            )
    return 1


def edit(path: Path, corrected: dict[str, str]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["corrected"] = corrected.get(row["id"], "")
        row["conversation"] = "spoilt by the spreadsheet"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_what_people_corrected_becomes_training_rows(database: Engine, summarized: int, tmp_path: Path) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    assert export_review(database, summarized, review, 25) == 25
    with review.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["summary"].startswith("'=late") for row in rows)

    names = [row["id"] for row in rows[:20]]
    edit(review, {name: f"Customer of {name} waits." for name in names} | {rows[20]["id"]: rows[20]["summary"]})
    report = import_review(database, review, training)
    assert (report.num_corrected, report.num_unchanged, report.num_rows) == (20, 5, 20)

    edit(review, {names[0]: "Customer waits."})
    assert import_review(database, review, training).num_rows == 20
    splits = load_splits([str(training)])
    references = {
        example.conversation.external_id: example.references for example in [*splits.train, *splits.validation]
    }
    assert set(references) == set(names)
    assert references[names[0]] == ("Customer waits.",)
    assert all(example.text.startswith("user: order ") for example in splits.train)


def test_a_row_whose_empty_cells_a_spreadsheet_left_out_is_unchanged(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, 3)
    edit(review, {})
    header, *rows = review.read_text().splitlines()
    rows = [rows[0].removesuffix(","), ",".join(rows[1].split(",")[:3]), rows[2] + "Customer waits."]
    review.write_text("\n".join([header, *rows]))
    report = import_review(database, review, training)
    assert (report.num_corrected, report.num_unchanged, report.num_rows) == (1, 2, 1)


def test_a_review_in_a_spreadsheets_own_encoding_says_how_to_save_it(
    database: Engine, summarized: int, tmp_path: Path
) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, 1)
    edit(review, {})
    review.write_bytes((review.read_text().rstrip() + "Café waits.\n").encode("cp1252"))
    with pytest.raises(SourceError, match=r"review\.csv: not UTF-8 .*save it as CSV UTF-8"):
        import_review(database, review, training)
    assert not training.exists()


def test_a_missing_review_says_where_one_comes_from(database: Engine, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file; `aftercall review export` writes one"):
        import_review(database, tmp_path / "review.csv", tmp_path / "training.csv")


def test_a_review_of_another_database_is_refused_whole(database: Engine, summarized: int, tmp_path: Path) -> None:
    review, training = tmp_path / "review.csv", tmp_path / "training.csv"
    export_review(database, summarized, review, 2)
    edit(review, {})
    with review.open("a", newline="") as file:
        csv.writer(file).writerow(["999", "case-999", "user: x", "old", "New summary."])
    with pytest.raises(SourceError, match=r"review\.csv, line 4: job 999 has no summary in this database"):
        import_review(database, review, training)
    assert not training.exists()
