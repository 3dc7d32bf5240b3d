"""The review pages on both databases: blind pairs, what `review import` reads of them, and the figures."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from aftercall.ledger import control, erasure, retention, reviews, work
from aftercall.models import Review, ReviewRow
from producer.web.figures import gather
from tests.fixtures.web import Site, SiteStarter
from tests.integration.test_ledger import claim_all, submit, summary
from training.data.review_import import import_review

BETTER = "The customer asks where order {} is."


@pytest.fixture
def site(database: Engine, start_web: SiteStarter) -> Site:
    """With ten done conversations; the last is the riskiest."""
    submit(database, *"abcdefghij")
    work.complete(
        database,
        [
            replace(
                summary(job_id, f"Summary {job_id}.", "ada"),
                needs_review=job_id > 5,
                risk=job_id / 10,
                reason="delivery" if job_id % 2 else "billing",
            )
            for job_id in claim_all(database)
        ],
    )
    return start_web()


def log_in(site: Site, name: str) -> Site:
    """The same server, in the browser of another person."""
    other = Site(site.process, site.port)
    assert other.post("/review/name", "/review", name=name).status == 303
    return other


def shown_row(site: Site) -> int | None:
    """The row that the review shows."""
    found = re.search(r'action="/review/rows/(\d+)"', site.get("/review/1").text)
    return int(found[1]) if found else None


def decide(site: Site, decision: str, **fields: str) -> int:
    """Decide on the row that is shown; returns the answer's status."""
    row = shown_row(site)
    return site.post(f"/review/rows/{row}", "/review/1", decision=decision, **fields).status


def test_the_riskiest_and_a_random_control_are_drawn(database: Engine, site: Site) -> None:
    ann = log_in(site, "ann")
    assert ann.post("/review/1/draw", "/review/1", rows="5").status == 303
    with database.begin() as connection:
        rows = connection.execute(select(ReviewRow.job_id, ReviewRow.is_control).order_by(ReviewRow.id)).all()
    (control_row,) = [job_id for job_id, is_control in rows if is_control]
    assert [job_id for job_id, is_control in rows if not is_control] == [
        job_id for job_id in range(10, 0, -1) if job_id != control_row
    ][:4]
    assert ann.post("/review/1/draw", "/review/1", rows="100").status == 303
    (progress,) = reviews.progress(database)
    assert progress.num_rows == 10
    answer = ann.post("/review/1/draw", "/review/1", rows="1")
    assert answer.status == 409
    assert "No summary is left to draw" in answer.text


def test_two_people_review_each_row_blind_and_a_third_gets_none(site: Site) -> None:
    ann, bob, cleo = (log_in(site, name) for name in ("ann", "bob", "cleo"))
    ann.post("/review/1/draw", "/review/1", rows="2")
    first = shown_row(ann)
    decide(ann, "corrected", corrected=BETTER.format(first), reason="missing")
    assert shown_row(bob) == first
    page = bob.get("/review/1").text
    assert "asks where order" not in page
    assert "ann" not in page.partition("<main>")[2]
    decide(bob, "approved")
    assert shown_row(cleo) != first
    decide(ann, "approved")
    decide(bob, "skipped")
    assert [shown_row(each) for each in (ann, bob, cleo)] == [None] * 3


def test_an_unusable_correction_is_not_recorded_and_the_draft_is_kept(database: Engine, site: Site) -> None:
    ann = log_in(site, "ann")
    ann.post("/review/1/draw", "/review/1", rows="1")
    row = shown_row(ann)
    for corrected, problem in (("ok then", "fewer than 3 words"), ("agent: I am sorry to hear that", "is copied from")):
        answer = ann.post(f"/review/rows/{row}", "/review/1", decision="corrected", corrected=corrected, reason="style")
        assert answer.status == 422
        assert problem in answer.text
        assert f">{corrected}</textarea>" in answer.text
        assert '<option value="style" selected>' in answer.text
    assert decide(ann, "guessed") == 400
    assert list(reviews.reviewed(database, 1)) == []


def test_review_import_reads_what_the_page_exports(database: Engine, site: Site, tmp_path: Path) -> None:
    ann, bob = log_in(site, "ann"), log_in(site, "bob")
    ann.post("/review/1/draw", "/review/1", rows="3")
    for _ in range(2):
        decide(ann, "corrected", corrected=BETTER.format(shown_row(ann)))
    decide(ann, "approved")
    decide(bob, "corrected", corrected="=Where is the order, asks the customer.")
    decide(bob, "skipped")
    reviewed = tmp_path / "page.csv"
    reviewed.write_text(ann.get("/review/1/corrections.csv").text, newline="")
    report = import_review(database, reviewed, tmp_path / "ours.csv")
    assert (report.num_corrected, report.num_unchanged, report.num_rows, report.unusable) == (3, 1, 3, ())
    training = (tmp_path / "ours.csv").read_text()
    assert ",ann" in training
    assert ",bob" in training


def test_a_summary_that_was_written_again_is_left_out_of_the_export(database: Engine, site: Site) -> None:
    ann = log_in(site, "ann")
    ann.post("/review/1/draw", "/review/1", rows="1")
    decide(ann, "approved")
    assert len(list(reviews.reviewed(database, 1))) == 1
    control.redo(database, "ada")
    work.complete(database, [summary(job_id, "Anew.", "ada") for job_id in claim_all(database)])
    assert list(reviews.reviewed(database, 1)) == []


def test_the_figures_add_up(database: Engine, site: Site) -> None:
    ann, bob = log_in(site, "ann"), log_in(site, "bob")
    ann.post("/review/1/draw", "/review/1", rows="5")
    # Both approve the first, they differ on the second, ann alone corrects the third and skips the fourth.
    decide(ann, "approved")
    decide(bob, "approved")
    decide(ann, "approved")
    decide(bob, "corrected", corrected="One two three four.", reason="missing")
    decide(ann, "corrected", corrected="One two three four.", reason="style")
    decide(ann, "skipped", reason="unclear")
    figures = gather(database)
    ((_, adapter, tally),) = figures.by_week
    assert adapter == "ada"
    assert (tally.num_rows, tally.num_reviews, tally.num_approved) == (3, 5, 3)
    assert (tally.num_pairs, tally.num_agreed) == (2, 1)
    # "Summary 3." and four other words: all of them changed.
    assert tally.mean_edit_share == pytest.approx(2 / 5)
    assert sum(each.num_rows for _, each in figures.by_draw) == 3
    assert sum(each.num_rows for _, each in figures.by_contact_reason) == 3
    assert sorted(figures.reasons) == [("missing", 1), ("style", 1), ("unclear", 1)]
    page = site.get("/review/figures").text
    assert "60.0%" in page
    assert '50.0% <span class="soft">of 2</span>' in page


@pytest.mark.parametrize("how", ["purge", "erase"])
def test_reviews_go_with_their_conversation(how: str, database: Engine, site: Site) -> None:
    ann = log_in(site, "ann")
    ann.post("/review/1/draw", "/review/1", rows="10")
    for _ in range(10):
        decide(ann, "corrected", corrected=BETTER.format("a"))
    if how == "purge":
        retention.empty(database, 1)
        assert retention.drop_empty(database, [1]) == 1
    else:
        erasure.erase(database, "a", [1])
    with database.begin() as connection:
        left = [
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (ReviewRow, Review)
        ]
    assert left == ([0, 0] if how == "purge" else [9, 9])


def test_the_login_is_the_reviewer(database: Engine, start_web: SiteStarter, site: Site) -> None:
    guarded = start_web(settings=start_web.settings.model_copy(update={"web_password": "correct horse battery"}))
    headers = {"Authorization": "Basic ZGFuOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="}
    assert "You review as <strong>dan</strong>" in guarded.get("/review", **headers).text
