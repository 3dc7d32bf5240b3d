"""A shadow: what it writes is kept apart, compared blind and erased; the engine answers by script."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.ledger import account, erasure
from aftercall.models import RolloutResult
from tests.fixtures.adapters import make_candidate, run
from tests.fixtures.house import GOOD, House, actions, installed, orders, run_failing
from tests.fixtures.workers import wait_until


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty ledger in an installation of the test's own."""
    with installed(tmp_path, monkeypatch) as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path, database: Engine) -> tuple[str, str]:
    """Two candidates."""
    return make_candidate(tmp_path, 1, "Customer waits."), make_candidate(tmp_path, 2, "Customer waits.")


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
