"""What is drawn for a review, and the figures over what reviewers found."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, update

from aftercall.models import Summary
from tests.fixtures.reviews import edit, read, submit_thirty
from training import adapters_cli
from training.data.review import Draw, export_review
from training.data.review_import import import_review
from training.data.review_stats import count_reviews, group_reviews
from training.data.reviews import Review, measure_edit, name_channel, read_log


@pytest.fixture
def judged(database: Engine) -> Engine:
    """Thirty summaries, of which 5 need a review; risk grows with the number."""
    submit_thirty(database)
    with database.begin() as connection:
        for number in range(1, 31):
            values = {"risk": number / 100, "needs_review": number in (3, 4, 5, 6, 7)}
            connection.execute(update(Summary).where(Summary.job_id == number).values(**values))
    return database


def drawn(path: Path, how: str) -> set[int]:
    return {int(row["job"]) for row in read(path) if row["drawn"] == how}


def test_the_riskiest_are_drawn_and_a_control_among_all(judged: Engine, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    assert export_review(judged, 1, review, Draw(10)) == 10
    assert drawn(review, "risk") == {3, 4, 5, 6, 7, 26, 27, 28, 29, 30}
    controls = []
    for seed in range(6):
        (tmp_path / "review.csv").unlink()
        assert export_review(judged, 1, review, Draw(10, num_control=4, seed=seed)) == 10
        control, risky = drawn(review, "control"), drawn(review, "risk")
        assert (len(control), len(risky)) == (4, 6)
        flagged = {3, 4, 5, 6, 7} - control
        assert flagged <= risky
        controls.append(control)
    assert len(set(map(frozenset, controls))) > 1
    assert any(control & {3, 4, 5, 6, 7, 28, 29, 30} for control in controls)


def test_the_control_is_kept_through_the_import(judged: Engine, tmp_path: Path) -> None:
    review, ours = tmp_path / "review.csv", tmp_path / "ours.csv"
    export_review(judged, 1, review, Draw(10, num_control=4))
    control = drawn(review, "control")
    edit(review, {f"case-{job}": "The order is late again." for job in sorted(control)[:1]})
    import_review(judged, review, ours)
    log = read_log(tmp_path / "ours.reviews.csv")
    assert {int(each.job) for each in log if each.drawn == "control"} == control
    figures = group_reviews(log, "drawn")
    assert (figures["control"].acceptance, figures["risk"].acceptance) == (0.75, 1.0)


def make_review(job: str, reviewer: str, corrected: str = "", **values: str) -> Review:
    rest = {"reason": "", "adapter": "a1", "channel": "chat", "flags": "", "drawn": "risk", "day": "2026-11-01"}
    decision = "corrected" if corrected else "approved"
    kept = {"job": job, "reviewer": reviewer, "id": job, "summary": "the order is late", "corrected": corrected}
    return Review(**{**rest, **kept, "decision": decision, **values})


def test_acceptance_edits_and_agreement() -> None:
    log = [
        make_review("1", "ann"),
        make_review("1", "bob"),
        make_review("2", "ann", corrected="the order is lost"),
        make_review("2", "bob", flags="copied unsupported"),
    ]
    figures = count_reviews(log)
    assert (figures.num_reviews, figures.acceptance, figures.edit_share) == (4, 0.75, 0.25)
    assert (figures.agreement, figures.num_pairs) == (0.5, 2)
    by_flag = group_reviews(log, "flag")
    assert {name: each.num_reviews for name, each in by_flag.items()} == {"copied": 1, "none": 3, "unsupported": 1}
    assert by_flag["copied"].edit_share is None
    assert by_flag["copied"].agreement is None


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [("a b c d", "a b c d", 0), ("a b c d", "a x c d", 0.25), ("a b", "a b c d", 0.5), ("", "a", 1)],
)
def test_edits_are_counted_in_words(before: str, after: str, share: float) -> None:
    assert measure_edit(before, after) == share


@pytest.mark.parametrize(
    ("source", "channel"),
    [("chat-2026-11-27.csv", "chat"), ("/in/mail_eu_03.jsonl.gz", "mail eu"), ("20261127.csv", "20261127")],
)
def test_a_channel_is_the_sources_name_without_numbers(source: str, channel: str) -> None:
    assert name_channel(source) == channel


def test_the_command_shows_every_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "ours.reviews.csv"
    log = [make_review("1", "ann"), make_review("1", "bob", corrected="the order is lost", reason="fact")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Review.__slots__)
        writer.writerows([getattr(each, name) for name in Review.__slots__] for each in log)
    shown = CliRunner().invoke(adapters_cli.review, ["stats", str(path)])
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert "all 2 50% 25% 0% of 1" in lines
    assert "adapter a1 2 50% 25% 0% of 1" in lines
    assert "reason fact 1 0% 25%" in lines
    missing = CliRunner().invoke(adapters_cli.review, ["stats", "nix.csv"])
    assert "nix.csv: there is no such file" in str(missing.exception)
