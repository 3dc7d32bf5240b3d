"""Held-out conversations stay out of training, whatever the sources."""

import csv
from pathlib import Path

import pytest

from aftercall.errors import AdapterError, SourceError
from tests.unit.training.examples import make_example
from training.data.splits import (
    TRAINED_ON_FILE,
    check_unseen,
    load_held_out,
    load_splits,
    merge_examples,
    save_trained_on,
)


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


def test_a_conversation_held_out_in_one_source_is_trained_on_in_none(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    write_rows(folder / "train.csv", [("user: a b c", "One.")])
    write_rows(folder / "validation.csv", [(f"user: order {number}", "Held out.") for number in range(30)])
    other = write_rows(tmp_path / "other.csv", [(f"user: order {number}", "Known.") for number in range(40)])
    splits = load_splits([str(folder), other])
    assert not {example.text for example in splits.validation} & {example.text for example in splits.train}
    assert {example.text for example in splits.train} >= {"user: a b c\n"}


def test_held_out_examples_are_read_without_a_train_file(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    write_rows(tmp_path / "split" / "validation.csv", [(f"user: order {number}", "Held out.") for number in range(3)])
    other = write_rows(tmp_path / "other.csv", [(f"user: parcel {number}", "Late.") for number in range(40)])
    held_out = load_held_out([str(tmp_path / "split"), other])
    assert held_out[:3] == load_held_out([str(tmp_path / "split")])
    assert held_out[3:] == load_splits([other]).validation


@pytest.mark.parametrize("number", [1, 20])
def test_an_empty_side_is_refused(tmp_path: Path, number: int) -> None:
    source = write_rows(tmp_path / "rows.csv", [("user: the same words", f"Summary {i}.") for i in range(number)])
    with pytest.raises(SourceError, match=r"rows\.csv: no conversation is left (to train on|held out)"):
        load_splits([source])


def test_references_of_one_conversation_are_joined_and_each_is_kept_once() -> None:
    merged = merge_examples([make_example("a", "X.", "Y."), make_example("b", "Y.", "Z.")])
    assert [(example.conversation.external_id, example.references) for example in merged] == [("a", ("X.", "Y.", "Z."))]


def test_an_adapter_is_not_judged_on_its_training_data(tmp_path: Path) -> None:
    known = [make_example(f"k{number}", "X.", user=f"order {number}") for number in range(4)]
    new = [make_example(f"n{number}", "X.", user=f"parcel {number}") for number in range(2)]
    check_unseen(tmp_path, known)
    save_trained_on(tmp_path, known)
    check_unseen(tmp_path, new)
    with pytest.raises(
        SourceError, match=rf"1 of 3 conversations were trained on by {tmp_path.name}: k2\. Give --data"
    ):
        check_unseen(tmp_path, [*new, known[2]])
    # Another reference does not make it another conversation.
    again = [make_example(example.conversation.external_id, "Y.", user=f"order {n}") for n, example in enumerate(known)]
    with pytest.raises(SourceError, match=r"4 of 4 conversations .*: k0, k1, k2, …\."):
        check_unseen(tmp_path, again)
    assert "order" not in (tmp_path / TRAINED_ON_FILE).read_text()
    (tmp_path / TRAINED_ON_FILE).write_text("[")
    with pytest.raises(AdapterError, match=r"trained_on\.json is not JSON .*Copy the adapter's folder again"):
        check_unseen(tmp_path, new)
