"""`aftercall report` as a person opens it: one file, everything in it, nothing from elsewhere."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.ledger import delivery, intake, work
from tests.fixtures.command import Answer

HOSTILE = 'Customer says <script>alert("x")</script> & leaves.'
LEASE = work.Lease("aftercall-gpu0", ttl_s=600.0)


class Tags(HTMLParser):
    """Notes the tags and the addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]


def fill(database: Engine, name: str, num: int) -> None:
    """A submission of which one failed, one was cut, and the others are done."""
    number = intake.open_submission(database, name, name)
    texts = [f"user: {name} order {each} did not arrive <b>yet</b>\nagent: sorry\n" for each in range(num)]
    jobs = [
        intake.NewJob(f"c{each}", each, text, intake.make_job_key(text, "1"), "1", True)
        for each, text in enumerate(texts)
    ]
    intake.add_jobs(database, number, jobs)
    intake.close_submission(database, number, 3)
    claimed = work.claim(database, [unsent.job.job_id for unsent in delivery.unsent(database, num)], LEASE, 3)
    work.fail(database, work.JobFailure(claimed[0].job_id, "engine_error", "it broke", True), LEASE.owner, 3, 0)
    work.complete(database, [summary(job.job_id, is_cut=job is claimed[1]) for job in claimed[1:]])


def summary(job_id: int, *, is_cut: bool) -> work.SummaryRecord:
    """A summary that tries to run a script in the reader's browser."""
    reason = "length" if is_cut else "stop"
    return work.SummaryRecord(
        job_id, "", HOSTILE, "base", "none", "float32", "1", "1", "{}", 30, 40, reason, 1.0, 0.5, "aftercall-gpu0"
    )


def test_the_page_is_complete_and_self_contained(
    command: Callable[..., Answer], database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_GPU_HOUR_COST", "2.5")
    fill(database, "night.csv", 14)
    Path("night.csv.rejected.csv").write_text("line,reason\n2,the transcript is empty\n")
    Path("night.csv").touch()
    answer = command("report", "--latest", "--out", "night.html", "--deadline", "2000-01-01T05:30")
    page = Path("night.html").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))

    assert answer.exit_code == 0, answer.errors
    for said in ("14 conversations", "13 summarized", "1 failed", "3 rows rejected", "engine_error", "it broke"):
        assert said in words
    for said in (
        "the transcript is empty",
        "2 more rows",
        "aftercall-gpu0",
        "13 in 5 seconds",
        "per 1,000",
        "after the deadline",
    ):
        assert said in words
    tags = Tags()
    tags.feed(page)
    assert "svg" in tags.names
    assert "script" not in tags.names
    assert tags.addresses == []
    assert "&lt;script&gt;" in page
    assert "http" not in page.partition("<body>")[0]
    # The one that was cut comes first, and ten are shown with their conversations.
    readings = re.findall(r"<h3>(\S+) .*?: (.*?)</span>", page)
    assert len(readings) == 10
    assert [why for _, why in readings[:2]] == ["cut at the token limit", "one of the longest conversations"]
    assert f"order {readings[0][0][1:]} did not arrive &lt;b&gt;yet&lt;/b&gt;" in page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_older_report_is_replaced_and_another_file_is_not(command: Callable[..., Answer], database: Engine) -> None:
    fill(database, "night.csv", 3)
    assert command("report", "1", "--out", "night.html").exit_code == 0
    assert command("report", "1", "--out", "night.html").exit_code == 0
    Path("mine.html").write_text("<!doctype html><p>mine")
    answer = command("report", "1", "--out", "mine.html")
    assert answer.exit_code == 1
    assert Path("mine.html").read_text() == "<!doctype html><p>mine"
    assert command("report", "--out", "other.html").exit_code == 2
