"""An adapter on a share of the conversations: who writes what, a canary that stops itself, a shadow, and drift.

Ledger, registry, choice of the adapter, verdicts and commands are real; the engine answers by script, as the adapter
tells it.
"""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.ledger import account, adapters, audit, delivery, erasure, intake, rollouts
from aftercall.ledger.work import Lease
from aftercall.message import Chunk
from aftercall.models import RolloutResult, Submission, Summary
from aftercall.settings import load_settings
from tests.fixtures.adapters import BASE, install, make_candidate, run
from tests.fixtures.command import Answer
from tests.fixtures.scripted_worker import CharacterTokenizer, ScriptedModel
from tests.fixtures.workers import wait_until
from training.registry import history
from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.jobs.summarizer import Summarizer
from worker.serving import canary
from worker.serving.adapter_pool import Held
from worker.serving.desired import find_desired
from worker.serving.follower import AdapterFollower
from worker.serving.served import Served, Serving
from worker.upkeep.leases import LeaseKeeper

GOOD = "The customer's order is late, and the agent sends another one to the customer."
#: The model repeats itself, which no summary may.
LOOP = "1" * 60

Answers = dict[str, str]


class AnsweringEngine:
    """Answers each conversation as the script has it for the adapter; without one, well."""

    max_prompt_tokens = 100_000

    def __init__(self, answers: Answers, served: Callable[[], str]) -> None:
        self._answers = answers
        self._served = served

    def generate(
        self, prompts: Sequence[Sequence[int]], adapters: Sequence[str] = ()
    ) -> list[Completion | PromptFailure]:
        names = adapters or [""] * len(prompts)
        texts = [self._answers.get(name or self._served(), GOOD) for name in names]
        return [Completion(text, 300, 20, "stop", 0.1) for text in texts]

    def close(self) -> None:
        """Nothing is held."""


class Pool:
    """Has every adapter but those that are not here."""

    max_adapters = 2

    def __init__(self, missing: Collection[str] = ()) -> None:
        self._missing = missing

    @contextmanager
    def holding(self, digests: Collection[str], served: Any) -> Iterator[Held]:
        assert len(digests) <= self.max_adapters
        names = {digest: digest or "none" for digest in digests if digest not in self._missing}
        yield Held(names | {served.adapter_digest: ""}, dict.fromkeys(self._missing, "its folder is not here"))

    def clear(self) -> None:
        """Nothing is loaded."""


class Live:
    """Swaps in whatever is active."""

    def stage(self, folder: Path | None, digest: str) -> Any:
        return ScriptedModel(base_model=BASE, adapter_digest=digest)

    def apply(self, staged: Any) -> Any:
        return staged


class House:
    """A ledger, a registry and one worker in this process."""

    def __init__(self, database: Engine, answers: Answers, missing: Collection[str] = ()) -> None:
        self.database = database
        live: Any = Live()
        pool: Any = Pool(missing)
        model: Any = ScriptedModel(base_model=BASE)
        engine = AnsweringEngine(answers, lambda: self.serving.now.provenance.adapter_digest)
        served = Served(engine, CharacterTokenizer(), model, SamplingSettings(), live, pool=pool)
        self.serving = Serving(served)
        settings = load_settings()
        leases = LeaseKeeper(database, Lease("worker", 600.0))
        self.summarizer = Summarizer(database, self.serving, leases, settings, pytest.fail, pytest.fail)

    @contextmanager
    def following(self) -> Iterator[None]:
        """The worker looks at the registry all the time while the block runs."""
        with AdapterFollower(self.serving, self.database, lambda served: None, pytest.fail, 0.01):
            yield

    def serves(self, digest: str) -> bool:
        return self.serving.now.provenance.adapter_digest == digest

    def submit(self, name: str, texts: Sequence[str], adapter_digest: str | None = None) -> int:
        """Add a night's conversations; returns the submission."""
        number = intake.open_submission(self.database, name, name)
        jobs = [
            intake.NewJob(
                str(place), place, text, intake.make_job_key(text, "1", adapter_digest), "1", True, adapter_digest
            )
            for place, text in enumerate(texts)
        ]
        intake.add_jobs(self.database, number, jobs)
        intake.close_submission(self.database, number, 0)
        return number

    def work(self) -> None:
        """Summarize all that waits, as chunks of a queue bring it."""
        while unsent := delivery.unsent(self.database, 50):
            self.summarizer.summarize(Chunk(tuple(each.job for each in unsent)))

    def writers(self, number: int) -> list[str]:
        """The adapter of each conversation's summary, in the order of the source."""
        return [
            result.summary.adapter_digest
            for result in account.results(self.database, number)
            if result.summary is not None
        ]


def orders(name: str, num: int) -> list[str]:
    return [f"user: my order {name}{each} is late\nagent: sorry, we send you another one\n" for each in range(num)]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    install(tmp_path, monkeypatch)
    monkeypatch.setattr(canary, "CHECK_INTERVAL_S", -1.0)
    (tmp_path / "home").mkdir()
    engine = connect(f"sqlite:///{tmp_path / 'home' / 'aftercall.db'}")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def two(tmp_path: Path, database: Engine) -> tuple[str, str]:
    """Two candidates."""
    return make_candidate(tmp_path, 1, "Customer waits."), make_candidate(tmp_path, 2, "Customer waits.")


def actions(database: Engine) -> list[tuple[str, str | None]]:
    with reading(database) as connection:
        return [(entry.change.action.value, entry.change.adapter_digest) for entry in history.read(connection)]


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


def run_failing(*args: str) -> Exception:
    """The error of an `aftercall adapters` command."""
    with pytest.raises(Exception) as raised:
        run(*args)
    return raised.value


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


def test_what_a_shadow_writes_is_kept_apart_and_erased_with_its_conversation(
    database: Engine, two: tuple[str, str]
) -> None:
    house = House(database, {two[0]: "A secret of the shadow about the late order of the customer."})
    run("shadow", two[0], "--share", "50%")
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the shadow known")
        submission = house.submit("night", orders("G", 60))
        house.work()
    assert house.writers(submission) == [""] * 60
    with reading(database) as connection:
        written = connection.execute(select(RolloutResult.job_id, RolloutResult.text)).all()
    assert 15 < len(written) < 45
    assert all("secret of the shadow" in row.text for row in written)
    places = {result.external_id: result for result in account.results(database, submission)}
    for external_id in places:
        erasure.erase(database, external_id, [submission])
    with reading(database) as connection:
        assert connection.execute(select(RolloutResult.id)).all() == []


def test_a_shadow_is_compared_blind_and_promoted_on_preference(
    database: Engine, two: tuple[str, str], tmp_path: Path
) -> None:
    """Ninety pairs, of which reviewers prefer the shadow's, whichever comes first."""
    better = "Customer's order is late. The agent apologizes and sends another one."
    house, sheet = House(database, {two[0]: better}), tmp_path / "pairs.csv"
    run("shadow", two[0], "--share", "50%")
    with house.following():
        wait_until(lambda: house.serving.rollouts, "the shadow known")
        house.submit("night", orders("H", 150))
        house.work()
    assert "was not a shadow of what is served" in str(run_failing("promote", two[1], "--on-preference"))
    assert "stays a candidate: reviewers preferred the shadow 0 times" in str(
        run_failing("promote", two[0], "--on-preference")
    )
    assert "pairs written" in run("shadow", "--review", str(sheet)).output
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {better, GOOD} == {row["first"] for row in rows} == {row["second"] for row in rows}
    _write(sheet, [row | {"preferred": "second", "first": rows[0]["conversation"]} for row in rows])
    assert "not as it was exported" in str(run_failing("shadow", "--import", str(sheet)))
    _write(sheet, [row | {"preferred": "maybe"} for row in rows])
    assert "'maybe' in the column `preferred`; expected first, second, tie" in str(
        run_failing("shadow", "--import", str(sheet))
    )
    _write(sheet, [row | {"preferred": "first" if row["first"] == better else "second"} for row in rows])
    assert f"{len(rows)} comparisons read" in run("shadow", "--import", str(sheet)).output
    shown = run("shadow").output
    assert f"n={len(rows)} conversations written by both" in shown
    assert f"preferred the shadow {len(rows)} times and the served adapter 0 times" in shown
    assert f"active: {two[0]}" in run("promote", two[0], "--on-preference").output
    assert [name for name, _ in actions(database)] == ["shadow", "shadow promoted", "promote"]
    assert "for the shadow (95% interval)" in run("history").output


def _write(sheet: Path, rows: Sequence[dict[str, str]]) -> None:
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


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
