"""An adapter on a share of the conversations: who writes what, a canary that stops itself, a shadow, and drift.

Ledger, registry, choice of the adapter, verdicts and commands are real; the engine answers by script, as the adapter
tells it.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from aftercall.database import reading
from aftercall.ledger import account, adapters, audit, intake, rollouts
from aftercall.models import Submission, Summary
from tests.fixtures.adapters import BASE, install, make_candidate, run
from tests.fixtures.command import Answer
from tests.fixtures.house import GOOD, LOOP, House, actions, installed, orders, run_failing
from tests.fixtures.workers import wait_until
from worker.serving.desired import find_desired


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty ledger in an installation of the test's own."""
    with installed(tmp_path, monkeypatch) as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path, database: Engine) -> tuple[str, str]:
    """Two candidates."""
    return make_candidate(tmp_path, 1, "Customer waits."), make_candidate(tmp_path, 2, "Customer waits.")


def test_a_canary_writes_its_share_and_the_summaries_say_so(database: Engine, two: tuple[str, str]) -> None:
    house, number = House(database, {}), 400
    assert run("canary", two[0], "--share", "25%").exit_code == 0
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the canary known")
        submission = house.submit("night", orders("A", number))
        house.work()
    writers = house.writers(submission)
    assert set(writers) == {"", two[0]}
    assert 60 < writers.count(two[0]) < 140
    [rollout] = rollouts.running(database, BASE)
    with reading(database) as connection:
        keys = dict(connection.execute(select(intake.Job.id, intake.Job.job_key)).all())
        written = connection.execute(select(Summary.job_id, Summary.adapter_digest)).all()
    assert all(rollout.draws(keys[job_id]) == (digest == two[0]) for job_id, digest in written)
    shown = run("canary").output
    assert f"{two[0]}, 0.25 of the conversations since" in shown
    ours, theirs = writers.count(two[0]), writers.count("")
    assert re.search(rf"came to nothing +0 of {ours} \(0\.0%\) +0 of {theirs} \(0\.0%\) +no", shown)


def test_a_canary_that_loops_stops_itself_and_costs_no_conversation(database: Engine, two: tuple[str, str]) -> None:
    house = House(database, {two[1]: LOOP})
    run("canary", two[1], "--share", "30%")
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the canary known")
        submission = house.submit("night", orders("B", 200))
        house.work()
        wait_until(lambda: not house.serving.rollouts, "the canary stopped")
    assert account.account(database, submission).done == 200
    assert house.writers(submission) == [""] * 200
    [stopped] = rollouts.every(database)
    assert stopped.state is rollouts.State.WORSE
    assert re.match(
        r"of the canary's conversations, (\d+) of \1 \(100\.0%\) came to nothing; of the served adapter's, 0 of \d+ ",
        stopped.reason or "",
    )
    assert actions(database) == [("canary", two[1]), ("canary worse", two[1])]
    assert [entry.entry.action.value for entry in audit.entries(database, 2)] == ["canary worse", "canary"]
    assert "came to nothing" in run("history").output
    # It may be tried again, by name.
    assert run("canary", two[1]).exit_code == 0


def test_a_canary_that_is_no_worse_goes_on_until_it_is_stopped_or_promoted(
    database: Engine, two: tuple[str, str]
) -> None:
    house = House(database, {})
    run("canary", two[0])
    assert "a canary runs for tiny already" in str(run_failing("canary", two[1]))
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the canary known")
        house.submit("night", orders("C", 150))
        house.work()
        assert house.serving.rollouts
        assert "is stopped" in run("canary", "--stop").output
        wait_until(lambda: not house.serving.rollouts, "the canary stopped")
        run("canary", two[0])
        run("promote", two[0], "--force")
        wait_until(lambda: house.serves(two[0]), "the promoted one served")
    assert [name for name, _ in actions(database)] == [
        "canary", "canary stopped", "canary", "canary promoted", "promote",
    ]  # fmt: skip


def test_a_worker_without_the_canarys_folder_serves_as_before(database: Engine, two: tuple[str, str]) -> None:
    house = House(database, {}, missing={two[0], two[1]})
    run("canary", two[0], "--share", "50%")
    run("shadow", two[1], "--share", "50%")
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the canary known")
        submission = house.submit("night", orders("D", 40))
        house.work()
    assert house.writers(submission) == [""] * 40


def test_an_adapter_that_was_asked_for_writes_all_of_a_submission(database: Engine, two: tuple[str, str]) -> None:
    """Other submissions of the same texts are other jobs, and a canary leaves all of them alone."""
    house = House(database, {two[0]: GOOD.replace("late", "lost")})
    run("canary", two[1], "--share", "50%")
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the canary known")
        texts = orders("E", 20)
        asked = house.submit("asked", texts, two[0])
        bare = house.submit("bare", texts, "")
        house.work()
        plain = house.submit("plain", texts)
        house.work()
    assert house.writers(asked) == [two[0]] * 20
    assert house.writers(bare) == [""] * 20
    assert set(house.writers(plain)) == {"", two[1]}
    summaries = [result.summary.text for result in account.results(database, asked) if result.summary]
    assert all("lost" in text for text in summaries)


def test_an_adapter_that_is_not_here_is_a_reason_and_another_try(database: Engine, two: tuple[str, str]) -> None:
    house = House(database, {}, missing={two[0]})
    submission = house.submit("asked", orders("F", 2), two[0])
    house.work()
    [result, _] = account.results(database, submission)
    assert (result.state, result.error_code, result.error) == (
        "queued", "adapter_unavailable", "its folder is not here",
    )  # fmt: skip


def test_the_adapter_is_found_by_its_first_digits(database: Engine, two: tuple[str, str]) -> None:
    assert adapters.find_asked(database, two[0][:10]) == two[0]
    assert adapters.find_asked(database, "none") == ""
    with pytest.raises(Exception, match="no adapter is registered under 'zz'"):
        adapters.find_asked(database, "zz")
    with pytest.raises(Exception, match=r"\d adapters start with ''"):
        adapters.find_asked(database, "")


def test_a_quarter_of_nights_ends_with_the_right_adapter_and_every_decision_in_history(
    database: Engine,
    two: tuple[str, str],
    aftercall: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One adapter is promoted, the next one stops itself as a canary, and one night is not like the others."""
    # The command's fixture has cleared the environment.
    install(tmp_path, monkeypatch)
    good, bad = two
    house = House(database, {bad: LOOP})
    now = datetime.now()
    assert run("promote", good).exit_code == 0
    with house.following():
        wait_until(lambda: house.serves(good), "the promoted one served")
        for day in range(6):
            number = house.submit(f"night {day}", orders(f"{day}-", 40))
            house.work()
            _date(database, number, now - timedelta(days=8 - day))
        assert "is like the last 5 nights" in aftercall("drift", "--latest").output
        run("canary", bad, "--share", "30%")
        wait_until(lambda: house.serving.rollouts, "the canary known")
        number = house.submit("night 6", orders("6-", 200))
        house.work()
        _date(database, number, now - timedelta(days=1))
        wait_until(lambda: not house.serving.rollouts, "the canary stopped")
        house.submit(
            "strange", [f"user: meine Lieferung {each} fehlt noch\nagent: das tut uns leid\n" for each in range(40)]
        )
        house.work()
    answer = aftercall("drift", "--latest")
    assert answer.exit_code == 23
    assert re.search(
        r"differs from the last 7 nights: .*words that were not seen before, 100\.0% instead of \d\.\d%", answer.output
    )
    assert find_desired(database, BASE).digest == good
    assert house.serves(good)
    assert actions(database) == [("promote", good), ("canary", bad), ("canary worse", bad)]
    listed = run("history").output
    assert all(word in listed for word in ("promote", "canary worse", "came to nothing", "0.3 of the conversations"))


def _date(database: Engine, number: int, at: datetime) -> None:
    with database.begin() as connection:
        connection.execute(update(Submission).where(Submission.id == number).values(created_at=at.timestamp()))
