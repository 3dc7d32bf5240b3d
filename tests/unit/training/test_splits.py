"""What is held out stays out of training, whatever the sources."""

import csv
from pathlib import Path

import pytest

from aftercall.errors import SourceError
from tests.unit.training.examples import make_example
from training.splits import load_splits, merge_examples


def write_rows(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("conversation", "summary"), *rows])
    return str(path)


def test_a_file_is_split_by_conversation_and_always_the_same_way(tmp_path: Path) -> None:
    rows = [(f"user: order {number} is late", f"{who} wrote {number}.") for number in range(40) for who in ("A", "B")]
    splits = load_splits([write_rows(tmp_path / "one.csv", rows)])
    again = load_splits([write_rows(tmp_path / "two.csv", rows[::-1])])
    held_out = {example.text for example in splits.validation}
    assert held_out == {example.text for example in again.validation}
    assert not held_out & {example.text for example in splits.train}
    assert len(splits.train) + len(splits.validation) == 40
    assert all(len(example.references) == 2 for example in [*splits.train, *splits.validation])


def test_what_one_source_holds_out_no_other_trains_on(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    write_rows(folder / "train.csv", [("user: a b c", "One.")])
    write_rows(folder / "validation.csv", [(f"user: order {number}", "Held out.") for number in range(30)])
    other = write_rows(tmp_path / "other.csv", [(f"user: order {number}", "Known.") for number in range(40)])
    splits = load_splits([str(folder), other])
    assert not {example.text for example in splits.validation} & {example.text for example in splits.train}
    assert {example.text for example in splits.train} >= {"user: a b c\n"}


@pytest.mark.parametrize("number", [1, 20])
def test_an_empty_side_is_refused(tmp_path: Path, number: int) -> None:
    source = write_rows(tmp_path / "rows.csv", [("user: the same words", f"Summary {i}.") for i in range(number)])
    with pytest.raises(SourceError, match=r"rows\.csv: no conversation is left (to train on|held out)"):
        load_splits([source])


def test_references_of_one_conversation_are_joined_and_each_is_kept_once() -> None:
    merged = merge_examples([make_example("a", "X.", "Y."), make_example("b", "Y.", "Z.")])
    assert [(example.conversation.external_id, example.references) for example in merged] == [("a", ("X.", "Y.", "Z."))]
