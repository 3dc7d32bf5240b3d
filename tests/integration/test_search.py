"""The full-text index on both databases: what it finds, and that it forgets what is deleted."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from aftercall.database import empty_log, reading
from aftercall.ledger import control, erasure, intake, retention, search, work
from aftercall.ledger.search import Scope
from aftercall.models import SubmissionJob
from tests.fixtures.web import SiteStarter
from tests.integration.test_ledger import claim_all, new_job, submit, summary


def say(database: Engine, name: str, *words: str) -> int:
    """A submission of conversations in which the customer says these words; with `a` their ids are a0, a1, …"""
    number = intake.open_submission(database, f"{name}.csv", name)
    jobs = [new_job(f"{name}{place}", f"user: {each}\n", position=place) for place, each in enumerate(words)]
    intake.add_jobs(database, number, jobs)
    return number


def ids_by_job(database: Engine) -> dict[int, str]:
    with reading(database) as connection:
        return dict(connection.execute(select(SubmissionJob.job_id, SubmissionJob.external_id)).all())


def answer(database: Engine, adapter: str = "", **texts: str) -> None:
    """Write these summaries, by the caller's id, for all that waits."""
    ids = ids_by_job(database)
    work.complete(database, [summary(job_id, texts[ids[job_id]], adapter) for job_id in claim_all(database)])


def find(database: Engine, words: str, scope: Scope = Scope.CONVERSATIONS) -> list[str]:
    """The caller's ids of what is found, in their order."""
    ids = ids_by_job(database)
    return sorted(ids[match.job_id] for match in search.find(database, words, scope, None, 1_000))


def check(database: Engine) -> None:
    """Let SQLite compare its index with the tables."""
    if database.dialect.name == "sqlite":
        with database.begin() as connection:
            for scope in Scope:
                connection.execute(
                    text(f"INSERT INTO {scope}_words ({scope}_words, rank) VALUES ('integrity-check', 1)")
                )


@pytest.fixture
def indexed(database: Engine) -> Engine:
    """With an index of no rows yet, which is taken away again: tests share the PostgreSQL server."""
    search.build(database)
    yield database
    search.drop(database)
    assert not search.is_built(database)


def test_words_are_found_in_what_was_there_and_in_what_comes(database: Engine) -> None:
    say(database, "old", "the kettle leaks", "the parcel is late")
    answer(database, old0="A leaking kettle.", old1="A late parcel.")
    assert not search.is_built(database)
    search.build(database)
    try:
        say(database, "new", "my kettle is noisy")
        answer(database, new0="A noisy kettle.")
        assert search.is_built(database)
        assert find(database, "kettle") == ["new0", "old0"]
        assert find(database, "PARCEL", Scope.SUMMARIES) == ["old1"]
        assert find(database, "leaks", Scope.SUMMARIES) == []
        search.build(database)
        check(database)
    finally:
        search.drop(database)


def test_all_words_must_occur_and_a_phrase_in_its_order(indexed: Engine) -> None:
    say(indexed, "a", "the kettle leaks on the table", "the table leaks", "kettle and table")
    assert find(indexed, "table kettle") == ["a0", "a2"]
    assert find(indexed, '"kettle leaks"') == ["a0"]
    assert find(indexed, 'table "the kettle"') == ["a0"]
    assert find(indexed, "table -kettle") == ["a0", "a2"]


@pytest.mark.parametrize(
    "words", ['"', "*", "a OR", "NEAR(", "(", "'; --", "text:x", "-", '""', "{x}", "^a", "a AND NOT"]
)
def test_whatever_is_typed_is_words_and_no_syntax(words: str, indexed: Engine) -> None:
    say(indexed, "a", "nothing of the kind")
    assert find(indexed, words) == []


def test_pages_follow_each_other_by_key(indexed: Engine) -> None:
    say(indexed, "a", *(f"kettle {number}" for number in range(25)))
    found: list[int] = []
    before = None
    while matches := search.find(indexed, "kettle", Scope.CONVERSATIONS, before, 10):
        found += [match.job_id for match in matches]
        before = matches[-1].key
    assert found == list(range(25, 0, -1))


def test_a_build_that_was_interrupted_goes_on_and_what_was_purged_meanwhile_is_no_harm(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BATCH", 2)
    numbers = [say(database, digest, f"kettle {digest} one", f"kettle {digest} two") for digest in "abc"]
    if database.dialect.name == "sqlite":
        with pytest.raises(InterruptedError):
            search.build(database, interrupt)
        assert not search.is_built(database)
    for number in (numbers[0], numbers[2]):
        control.cancel(database, number)
        retention.empty(database, number)
    search.build(database)
    try:
        assert find(database, "kettle") == ["b0", "b1"]
        check(database)
    finally:
        search.drop(database)


def interrupt(scope: Scope, num_rows: int) -> None:
    raise InterruptedError


def test_a_summary_that_is_written_again_is_found_by_its_new_words_alone(indexed: Engine) -> None:
    submit(indexed, "a")
    answer(indexed, "x", a="A leaking kettle.")
    control.redo(indexed, "x")
    answer(indexed, "x", a="A late parcel.")
    assert find(indexed, "kettle", Scope.SUMMARIES) == []
    assert find(indexed, "parcel", Scope.SUMMARIES) == ["a"]
    check(indexed)


def test_a_purge_removes_the_words(indexed: Engine) -> None:
    number = say(indexed, "a", "the zyxwvut leaks")
    answer(indexed, a0="A leaking zyxwvut.")
    retention.empty(indexed, number)
    retention.drop_empty(indexed, [number])
    assert find(indexed, "zyxwvut") == find(indexed, "zyxwvut", Scope.SUMMARIES) == []
    check(indexed)


def test_an_erased_word_is_in_no_index_and_in_no_file(indexed: Engine) -> None:
    number = say(indexed, "a", "the zyxwvut leaks", *(f"kettle {number}" for number in range(200)))
    answer(indexed, a0="A leaking zyxwvut.", **{f"a{each}": "A kettle." for each in range(1, 201)})
    erasure.erase(indexed, "a0", [number])
    search.scrub(indexed)
    assert find(indexed, "zyxwvut") == find(indexed, "zyxwvut", Scope.SUMMARIES) == []
    assert len(find(indexed, "kettle")) == 200
    check(indexed)
    if indexed.dialect.name == "sqlite":
        path = Path(indexed.url.database or "")
        indexed.dispose()
        assert empty_log(indexed)
        assert b"zyxwvut" not in path.read_bytes()
        assert b"kettle" in path.read_bytes()


def test_a_text_longer_than_what_the_index_takes_is_stored(indexed: Engine) -> None:
    say(indexed, "a", "kettle " + " ".join(f"w{number:x}ö" for number in range(150_000)))
    assert find(indexed, "kettle") == ["a0"]


def test_the_page_searches_words_once_the_index_is_built(database: Engine, start_web: SiteStarter) -> None:
    say(database, "a", *(f"the kettle {number} leaks" for number in range(60)))
    claimed = claim_all(database)
    work.complete(database, [replace(summary(job_id), text=f"Leak {job_id}.") for job_id in claimed])
    site = start_web()
    assert "aftercall db index" in site.get("/search?q=kettle&in=conversations").text
    search.build(database)
    try:
        first = site.get("/search?q=kettle&in=conversations")
        assert len(first.links("/conversation")) == 50
        (more,) = first.links("before=")
        assert len(site.get(more).links("/conversation")) == 10
        assert len(site.get("/search?q=leak+7&in=summaries").links("/conversation")) == 1
        assert "Nothing was found for spoon." in site.get("/search?q=spoon&in=conversations").text
    finally:
        search.drop(database)
