"""The pages of `aftercall web` on both databases: what they show, and what their buttons do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from aftercall.ledger import account, control, intake, work
from aftercall.models import JobState
from aftercall.settings import Settings
from tests.fixtures import adapters
from tests.fixtures.web import Site, SiteStarter
from tests.fixtures.workers import wait_until
from tests.integration.test_ledger import LEASE, claim_all, new_job, submit, summary

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def site(start_web: SiteStarter) -> Site:
    return start_web()


def complete(database: Engine, text: str = "The customer waits.", **fields: object) -> None:
    """Let everything that waits be done."""
    work.complete(database, [replace(summary(job_id, text), **fields) for job_id in claim_all(database)])


def fail(database: Engine, code: str, num_jobs: int) -> None:
    """Let so many jobs fail."""
    claimed = claim_all(database)
    for job_id in claimed[:num_jobs]:
        work.fail(database, work.JobFailure(job_id, code, f"because of {code}", is_final=True), LEASE.owner, 3, 0.0)
    work.release(database, claimed[num_jobs:], LEASE.owner)


def test_submissions_are_shown_with_their_counts(database: Engine, site: Site) -> None:
    submit(database, "a", "b", "c")
    fail(database, "empty_summary", 1)
    page = site.get("/").text
    assert "source.csv" in page
    assert "no estimate: no worker is alive" in page
    page = site.get("/submissions/1").text
    assert '<dt>waiting</dt><dd class="">2</dd>' in page
    assert '<dt>failed</dt><dd class="bad">1</dd>' in page
    assert "because of empty_summary" in page
    assert site.get("/submissions/2").status == 404


def test_an_open_submission_is_live_and_a_finished_one_is_still(database: Engine, site: Site) -> None:
    submit(database, "a")
    assert 'http-equiv="refresh"' in site.get("/").text
    assert 'http-equiv="refresh"' in site.get("/submissions/1").text
    complete(database)
    intake.close_submission(database, 1, 0)
    # What was counted is remembered for a moment.
    for path in ("/", "/submissions/1"):
        wait_until(lambda path=path: "refresh" not in site.get(path).text, "a page that stays")


def test_every_conversation_is_on_exactly_one_page(database: Engine, site: Site) -> None:
    ids = [f"c {number}/é&?" for number in range(120)]
    submit(database, *ids)
    seen: list[str] = []
    path: str | None = "/submissions/1"
    while path:
        page = site.get(path)
        addresses = page.links(r"/conversation\?id=")
        seen += [
            site.get(address).text.partition("<h1>Conversation ")[2].partition("</h1>")[0] for address in addresses
        ]
        path = next(iter(page.links(r"\?after=")), None)
    assert sorted(seen) == sorted(each.replace("&", "&amp;") for each in ids)


def test_a_conversation_shows_its_summary_with_verdict_evidence_and_provenance(database: Engine, site: Site) -> None:
    submit(database, "a")
    complete(
        database,
        "The order did not arrive. The agent is sorry.",
        needs_review=True,
        reasons=json.dumps(["number", "no_outcome"]),
        risk=0.42,
        evidence=json.dumps([[1], [2]]),
        reason="delivery",
        reason_p=0.9,
        profile="service-1",
        worker="gpu-7",
    )
    page = site.get("/submissions/1/conversation?id=a").text
    assert 'The order did not arrive. <a class="evidence" href="#turn-1"' in page
    assert 'The agent is sorry. <a class="evidence" href="#turn-2"' in page
    assert '<li id="turn-2" class="agent">' in page
    for shown in ("needs review", "number", "no_outcome", "risk 42.0%", "delivery", "90.0%", "service-1", "gpu-7"):
        assert shown in page
    assert site.get("/submissions/1/conversation?id=b").status == 404


def test_what_others_wrote_is_escaped_everywhere(database: Engine, site: Site) -> None:
    number = intake.open_submission(database, HOSTILE, "hostile")
    intake.add_jobs(database, number, [new_job(HOSTILE, f"user: {HOSTILE}\nagent: {HOSTILE}\n"), new_job("b")])
    claimed = claim_all(database)
    work.complete(database, [replace(summary(claimed[0], HOSTILE), issue=HOSTILE, worker=HOSTILE)])
    work.fail(database, work.JobFailure(claimed[1], HOSTILE, HOSTILE, is_final=True), LEASE.owner, 3, 0.0)
    paths = ["/", f"/submissions/{number}", "/failures", f"/submissions/{number}/report", f"/search?q={HOSTILE}"]
    paths += site.get(f"/submissions/{number}").links("conversation") + site.get("/failures").links("code=")
    paths += [f"/submissions/{number}/cancel"]
    for path in paths:
        page = site.get(path)
        assert page.status == 200, path
        assert "<script" not in page.text, path
        assert "&lt;script&gt;" in page.text, path


def test_an_id_is_found_in_every_submission(database: Engine, site: Site) -> None:
    submit(database, "a", "b", digest="monday")
    submit(database, "b", "c", digest="tuesday")
    addresses = site.get("/search?q=b").links("conversation")
    assert addresses == ["/submissions/2/conversation?id=b", "/submissions/1/conversation?id=b"]
    assert "Nothing was found for z." in site.get("/search?q=z").text


def test_a_retry_queues_again_what_failed_with_its_code(database: Engine, site: Site) -> None:
    submit(database, "a", "b", "c")
    fail(database, "empty_summary", 2)
    fail(database, "engine_error", 1)
    assert site.get("/failures/code?code=empty_summary").text.count("because of empty_summary") == 2
    answer = site.post("/failures/retry", "/failures", code="empty_summary")
    assert "2 conversations are queued again" in answer.text
    assert (account.account(database, 1).waiting, account.account(database, 1).failed) == (2, 1)
    assert "empty_summary" not in site.get("/failures").text


def test_a_submission_is_cancelled_only_after_the_box_is_ticked(database: Engine, site: Site) -> None:
    submit(database, "a", "b")
    page = "/submissions/1/cancel"
    assert site.post(page, page).status == 400
    assert account.account(database, 1).waiting == 2
    assert "2 conversations cancelled" in site.post(page, page, is_sure="yes").text
    assert account.account(database, 1).cancelled == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_metrics_are_those_of_the_textfile(database: Engine, site: Site) -> None:
    submit(database, "a", "b")
    complete(database)
    answer = site.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["aftercall_jobs", "done"] == 2
    assert samples["aftercall_up", "database"] == 1
    assert samples["aftercall_open_conversations", "1"] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_adapters_are_promoted_and_rolled_back_through_the_gate(
    database: Engine, settings: Settings, start_web: SiteStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters.install(tmp_path, monkeypatch)
    monkeypatch.setenv("AFTERCALL_DATABASE_URL", settings.database_url)
    good, bad = adapters.make_candidate(tmp_path, 1, "Customer waits."), adapters.make_candidate(tmp_path, 2, "No.")
    site = start_web(settings=settings.model_copy(update={"base_model": adapters.BASE, "data_dir": tmp_path / "home"}))

    def act(kind: str, **named: str) -> str:
        (page,) = site.get("/adapters").links(f"{kind}.*{next(iter(named.values()))}")
        return site.post(f"/adapters/{kind}", page, is_sure="yes", **named).text

    assert "its ROUGE" in act("promote", digest=bad)
    assert f"/adapters/rollback?base={adapters.BASE}" not in site.get("/adapters").links("rollback")
    assert "active" in act("promote", digest=good)
    assert site.get("/adapters").links("rollback") == [f"/adapters/rollback?base={adapters.BASE}"]
    assert f"{good} is retired" in act("rollback", base=adapters.BASE)
    assert site.get("/adapters").links("rollback") == []
    assert site.get("/adapters").text.count('<td data-name="what">') == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_adapter_that_nobody_registered_is_not_promoted(site: Site) -> None:
    assert site.get("/adapters/promote?digest=--force").status == 404


def test_a_cancelled_submission_can_be_seen(database: Engine, site: Site) -> None:
    submit(database, "a")
    control.cancel(database, 1)
    assert 'chip warn">cancelled' in site.get("/").text
    assert control.requeue(database, 1, [JobState.CANCELLED]) == 1
