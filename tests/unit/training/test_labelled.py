"""Labelled data is read in the shapes that submit reads and that training libraries write."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import parquet

from aftercall.errors import SourceError
from producer.source import SourceOptions
from training.data.dataset import load_examples
from training.data.labelled import Reading
from training.data.splits import load_splits

TEXT = "user: my order 17 is late\nagent: sorry, refunded"
SUMMARY = "Order late."


def table(delimiter: str, text: str = TEXT, names: tuple[str, str, str] = ("id", "conversation", "summary")) -> str:
    return f"{delimiter.join(names)}\n{delimiter.join(('1', f'{chr(34)}{text}{chr(34)}', SUMMARY))}\n"


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def say(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]


ASKED = f"### Instruction: Summarize.\n\n### Input:\n{TEXT}\n\n### Response:\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", table(",")),
        ("rows.csv", 'conversation,summary\n"user: my order 17 is late\nagent: sorry, refunded",Order late.\n'),
        ("semicolons.csv", table(";")),
        ("tabs.tsv", table("\t")),
        ("labels.csv", table(",", TEXT.replace("user:", "Customer:").replace("agent:", "Agent:"))),
        ("breaks.csv", table(",", "user: my order\n17 is late\nagent: sorry,\nrefunded")),
        ("rows.jsonl", lines({"id": "1", "conversation": TEXT, "summary": SUMMARY})),
        (
            "chat.jsonl",
            lines(
                {"messages": say(("user", "my order 17 is late"), ("assistant", "sorry, refunded")), "summary": SUMMARY}
            ),
        ),
        ("sft.jsonl", lines({"messages": say(("system", "Summarize."), ("user", TEXT), ("assistant", SUMMARY))})),
        ("sft.jsonl", lines({"messages": say(("user", ASKED), ("assistant", f"{SUMMARY}\n### End"))})),
        ("pairs.jsonl", lines({"prompt": ASKED, "completion": f"{SUMMARY} ### End"})),
        ("pairs.jsonl", lines({"prompt": say(("user", TEXT)), "completion": say(("assistant", SUMMARY))})),
    ],
)
def test_each_shape_gives_the_same_example(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(content)
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        (example,) = load_examples(str(path), "train")
        assert (example.text, example.references) == (f"{TEXT}\n", (SUMMARY,))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path / "rows.parquet")
    return path / "rows.parquet"


def save_to_disk(path: Path, rows: list[dict[str, Any]]) -> Path:
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(str(path / "saved"))
    return path / "saved"


@pytest.mark.parametrize("write", [write_parquet, save_to_disk])
@pytest.mark.parametrize(
    "row",
    [
        {"id": "1", "conversation": TEXT, "summary": SUMMARY},
        {"prompt": ASKED, "completion": SUMMARY},
        {"messages": say(("user", TEXT), ("assistant", SUMMARY))},
    ],
)
def test_binary_formats_give_it_too(
    write: Callable[[Path, list[dict[str, Any]]], Path], row: dict[str, Any], tmp_path: Path
) -> None:
    (example,) = load_examples(str(write(tmp_path, [row])), "train")
    assert (example.text, example.references) == (f"{TEXT}\n", (SUMMARY,))


def test_a_saved_folder_of_splits_keeps_them(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    made = {
        split: datasets.Dataset.from_list([{"id": split, "conversation": f"user: {split} is late", "summary": SUMMARY}])
        for split in ("train", "validation")
    }
    datasets.DatasetDict(made).save_to_disk(str(tmp_path / "saved"))
    splits = load_splits([str(tmp_path / "saved")])
    assert [example.conversation.external_id for example in (*splits.train, *splits.validation)] == [
        "train",
        "validation",
    ]
    with pytest.raises(SourceError, match="has the splits train, validation and no test"):
        load_examples(str(tmp_path / "saved"), "test")


def test_a_folder_may_hold_any_readable_file_for_a_split(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.tsv").write_text(table("\t", f"user: the order of {split} is late"))
    assert [example.text for example in load_splits([str(tmp_path)]).train] == ["user: the order of train is late\n"]
    (tmp_path / "train.csv").write_text(table(","))
    with pytest.raises(SourceError, match=r"has 2 files for train: train\.csv, train\.tsv; keep one"):
        load_splits([str(tmp_path)])


def test_columns_of_other_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(",", names=("nr", "verlauf", "fazit")))
    reading = Reading(SourceOptions(mapping={"id": "nr", "transcript": "verlauf"}))
    with pytest.raises(SourceError, match=r"line 2: no column summary or .*; it has nr, verlauf, fazit\. Name the sum"):
        load_examples(str(path), "train", reading)
    (example,) = load_examples(str(path), "train", Reading(reading.options, "fazit"))
    assert example.references == (SUMMARY,)


def test_bad_rows_are_listed_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(",") + '2,"user: where is it",\n3,,Order lost.\n4,"user: it is lost",Order lost.\n')
    reading = Reading()
    assert [example.conversation.external_id for example in load_examples(str(path), "train", reading)] == ["1", "4"]
    rows = reading.rejected[str(path)]
    assert rows.num_rows == 2
    listed = (tmp_path / "rows.csv.rejected.csv").read_text()
    assert "a conversation without a summary; add one or remove the row" in listed
    assert len(listed.splitlines()) == 3
