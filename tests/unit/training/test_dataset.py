"""Labelled conversations from files: what is read, what is refused and how it is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from training.data import csv_rows
from training.data.dataset import digest_examples, load_examples, read_training_csv
from training.data.example import example_from_dialogstudio
from training.data.labelled import Reading

TWEETSUMM = Path(__file__).parents[4] / "shared" / "data" / "tweetsumm"


def make_row(**changes: Any) -> dict[str, Any]:
    summaries = changes.pop("summaries", [["Order late.", "Agent  apologizes."], ["Late order."]])
    return {
        "original dialog id": "d1",
        "original dialog info": json.dumps({"summaries": {"abstractive_summaries": summaries}}),
        "log": [
            {"user utterance": "@shop where is it? https://t.co/x", "system response": "@1 sorry &amp; thanks ^JK"},
            {"user utterance": "", "system response": "it is on its way"},
        ],
        **changes,
    }


def test_a_dialogstudio_row_is_cleaned_as_serving_cleans() -> None:
    example = example_from_dialogstudio(make_row())
    assert example.text == "user: where is it?\nagent: sorry & thanks it is on its way\n"
    assert example.references == ("Order late. Agent apologizes.", "Late order.")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"summaries": []}, "a conversation without a summary"),
        ({"summaries": [["  "]]}, "a conversation without a summary"),
        ({"summaries": [["user: hello agent: hi"]], "log": [{"user utterance": "hello", "system response": "hi"}]},
         "the summary is the conversation itself"),
        ({"log": [{"user utterance": "@shop", "system response": ""}]}, "empty once cleaned"),
        ({"log": [{"user": "hello"}]}, "not a DialogStudio row"),
        ({"log": [{"user utterance": None, "system response": "hi"}]}, "not a DialogStudio row .*None is not text"),
        ({"log": [{"user utterance": 7, "system response": "hi"}]}, "not a DialogStudio row .*7 is not text"),
        ({"summaries": None}, "not a DialogStudio row"),
        ({"summaries": [None]}, "not a DialogStudio row"),
        ({"summaries": [[1]]}, "not a DialogStudio row .*1 is not text"),
        ({"original dialog info": "no json"}, "not a DialogStudio row"),
    ],
)  # fmt: skip
def test_a_bad_dialogstudio_row_says_what_is_wrong_with_it(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        example_from_dialogstudio(make_row(**changes))


def test_a_bad_row_goes_to_the_rejected_file_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(make_row()) + "\n" + json.dumps(make_row(summaries=[])) + "\n")
    reading = Reading()
    assert len(load_examples(str(file), "train", reading)) == 1
    rows = reading.rejected[str(file)]
    assert (rows.num_rows, rows.path) == (1, tmp_path / "rows.jsonl.rejected.csv")
    assert rows.first == f"{file}, line 2: a conversation without a summary; add one or remove the row"
    assert (tmp_path / "rows.jsonl.rejected.csv").read_text().startswith("line,reason,json\n2,a conversation without")


def test_a_file_without_one_good_row_is_refused_with_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(make_row(summaries=[])) + "\n")
    with pytest.raises(SourceError, match=r"rows\.jsonl, line 1: a conversation without a summary"):
        load_examples(str(file), "train")
    assert not (tmp_path / "rows.jsonl.rejected.csv").exists()


def test_a_summary_may_be_one_text_instead_of_a_list_of_sentences() -> None:
    for summaries in (["Customer wants a refund."], "Customer wants a refund."):
        assert example_from_dialogstudio(make_row(summaries=summaries)).references == ("Customer wants a refund.",)


def test_empty_lines_between_rows_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{json.dumps(make_row())}\n\n  \n{json.dumps(make_row())}\n\n")
    assert len(load_examples(str(file), "train")) == 2


@pytest.mark.parametrize("name", ["rows.csv", "ROWS.CSV"])
def test_a_csv_of_conversation_and_summary(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text('id,conversation,summary\n7,"user: hello @bob\n\n agent: hi","Hello, said twice."\n')
    (example,) = load_examples(str(file), "train")
    assert (example.conversation.external_id, example.text) == ("7", "user: hello\nagent: hi\n")
    assert example.references == ("Hello, said twice.",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("conversation,text\n", "no column summary; expected conversation,summary"),
        ('conversation,summary\n"bob: hello",Hello.\n', "line 2: not a turn: 'bob: hello'"),
        ('conversation,summary\n"user: hello",\n', "line 2: a conversation without a summary"),
        ('conversation,summary\n"user: hello"\n', "line 2: a conversation without a summary"),
    ],
)
def test_a_bad_row_of_a_training_file_to_add_to_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    with pytest.raises(SourceError, match=sentence):
        read_training_csv(file)


def test_a_training_file_to_add_to_that_is_not_utf8_says_how_to_save_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes("conversation,summary\nuser: hello,Café.\n".encode("cp1252"))
    with pytest.raises(SourceError, match=r"rows\.csv: not UTF-8 .*save it as CSV UTF-8"):
        read_training_csv(file)


def test_a_cell_that_never_ends_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"conversation,summary\nuser: {'hello ' * 40_000},Hello.\n")
    assert len(read_training_csv(file)[0].text) > 200_000
    monkeypatch.setattr(csv_rows, "MAX_CELL_CHARS", 10_000)
    with pytest.raises(SourceError, match=r"rows\.csv, after line 1: field larger than field limit"):
        read_training_csv(file)


def test_a_single_file_has_no_test_split(tmp_path: Path) -> None:
    """Most of it is trained on: judged on all of it, every adapter looks good."""
    for name in ("rows.csv", "rows.jsonl"):
        (tmp_path / name).write_text('conversation,summary\n"user: hello",Hello.\n')
        with pytest.raises(SourceError, match=r"no test split; use --split validation, or a folder with test\.jsonl"):
            load_examples(str(tmp_path / name), "test")


def test_a_missing_split_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither a file nor a folder with test\.jsonl, test\.csv or another file"):
        load_examples(str(tmp_path), "test")


def test_the_digest_is_of_the_content() -> None:
    one, same = (example_from_dialogstudio(make_row()) for _ in range(2))
    other = example_from_dialogstudio(make_row(summaries=[["Another."]]))
    assert digest_examples([one]) == digest_examples([same]) != digest_examples([other])


@pytest.mark.skipif(not TWEETSUMM.is_dir(), reason=f"the TweetSumm rows are not at {TWEETSUMM}")
def test_all_of_tweetsumm_is_readable() -> None:
    train, validation = (load_examples(str(TWEETSUMM), split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (869, 108)
    assert sum(len(example.references) for example in train) == 2608
    assert not {example.text for example in train} & {example.text for example in validation}
