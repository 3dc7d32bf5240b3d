"""A quarter of weekly refreshes, as a timer would start them: reviews come, and the right adapter serves at the end."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from aftercall.database import reading
from tests.fixtures.refreshes import GARBAGE, Call, install, read_report, refresh, served, write_review
from tests.unit.training.learner import SUMMARY, write_labelled
from training.context import open_context
from training.registry import history, registry

#: What summaries are to say from week 9 on.
NEW_WORDING = "Money paid back."


@dataclass(frozen=True, slots=True)
class Week:
    """What a week's timer starts, and how it ends."""

    number: int
    data: tuple[str, ...]
    #: What the reviewer ann corrected summaries to; None: nobody reviewed anything.
    corrected: str | None
    exit_code: int
    said: str
    num_corrected: int = 30


QUIET = "nothing changed since the last refresh"
WEEKS = [
    Week(1, (), SUMMARY, 21, "not enough data: ", num_corrected=4),
    Week(2, ("labelled",), f"{SUMMARY[:-1]} now.", 0, "promoted: the gate let it pass", num_corrected=4),
    Week(3, ("labelled",), None, 0, QUIET),
    Week(4, ("labelled",), GARBAGE, 20, "kept: its ROUGE "),
    *[Week(number, ("labelled",), None, 20, QUIET) for number in range(5, 9)],
    Week(9, ("reworded",), NEW_WORDING, 0, "promoted: the gate let it pass"),
    *[Week(number, ("reworded",), None, 0, QUIET) for number in range(10, 14)],
]


def test_a_quarter_of_refreshes_promotes_what_is_better_and_nothing_else(
    aftercall: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = install(tmp_path, monkeypatch)
    write_reworded(tmp_path / "reworded")
    reviews: dict[str, Path] = {}
    serving, trained = [], []
    for week in WEEKS:
        if week.corrected:
            # The same reviewer: a later correction of a conversation replaces the earlier one.
            (tmp_path / str(week.number)).mkdir()
            path = tmp_path / str(week.number) / "ann.csv"
            reviews["ann"] = write_review(path, week.corrected, week.num_corrected)
        options = [option for source in week.data for option in ("--data", source)]
        answer = refresh(aftercall, "--from-review", reviews["ann"], *options)
        assert (week.number, answer.exit_code) == (week.number, week.exit_code), answer.output + answer.errors
        assert week.said in answer.output
        _, report = read_report(answer)
        assert report["is_repeated"] is (week.said == QUIET)
        serving.append(served())
        trained.append(len(list((home / "refresh" / "runs").glob("*"))))

    first, second = serving[1], serving[-1]
    assert serving == ["", *[first] * 7, *[second] * 5]
    assert first != second
    # Three weeks trained: 2, 4 and 9.
    assert trained == [0, 1, 1, *[2] * 5, *[3] * 5]
    with open_context() as context:
        states = {entry.digest: str(entry.state) for entry in registry.entries(context.database)}
        with reading(context.database) as connection:
            changes = [entry.change for entry in history.read(connection)]
    assert sorted(states.values()) == ["active", "candidate", "retired"]
    assert (states[first], states[second]) == ("retired", "active")
    assert [(each.action, each.adapter_digest, each.replaced_digest) for each in changes] == [
        ("promote", first, None),
        ("promote", second, first),
    ]
    assert all(json.loads(each.report or "")["num_conversations"] >= 32 for each in changes)


def write_reworded(folder: Path) -> None:
    """The labelled data after the wording changed: other conversations, other summaries."""
    folder.mkdir()
    for split, first, num_rows in (("train", 100, 24), ("validation", 124, 32)):
        path = write_labelled(folder / f"{split}.csv", num_rows, first=first)
        path.write_text(path.read_text().replace(SUMMARY, NEW_WORDING))
