"""Service labels: read from their file, and made into what a model should write."""

import json
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from aftercall.profile import TWEETSUMM, load_profile
from training.data.dataset import digest_examples, load_examples
from training.data.service import Target, lines_of_reference, make_targets

SERVICE = load_profile("service-1")
ROW: dict[str, Any] = {
    "id": "K-1",
    "language": "de",
    "turns": [{"speaker": "user", "text": "Der Deckel ist kaputt"}, {"speaker": "agent", "text": "Freitag"}],
    "references": [
        "A kettle came with a cracked lid. The agent sent a new lid; it arrives on Friday.",
        "Anna's new kettle was cracked, so a new lid was sent.",
        "Der Deckel war kaputt.",
    ],
    "issue": "The kettle's lid was cracked.",
    "action": "The agent sent a new lid.",
    "resolution": "follow_up",
    "reason": "quality",
    "follow_up": {"what": "Deliver the lid", "by": "Friday", "who": "company"},
    "key_facts": [],
}


def write_row(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(ROW | changes) + "\n")
    return tmp_path


def test_a_folder_of_service_rows_is_read_with_its_fields(tmp_path: Path) -> None:
    [example] = load_examples(str(write_row(tmp_path)), "train")
    assert example.references == tuple(ROW["references"][:2])
    assert example.labels is not None
    assert example.labels.follow_up == "Next: deliver the lid, Friday (company)."
    assert make_targets(example.references, example.labels, SERVICE) == [
        Target(
            "The kettle's lid was cracked.\nThe agent sent a new lid.\nNext: deliver the lid, Friday (company).\n"
            "= quality, follow_up"
        ),
        Target(
            "A kettle came with a cracked lid.\nThe agent sent a new lid.\nIt arrives on Friday.\n= quality, follow_up"
        ),
    ]
    assert make_targets(example.references, example.labels, TWEETSUMM) == [Target(text) for text in example.references]


def test_what_follows_counts_in_the_digest_of_the_data(tmp_path: Path) -> None:
    [one] = load_examples(str(write_row(tmp_path)), "train")
    [other] = load_examples(str(write_row(tmp_path, reason="order")), "train")
    assert digest_examples([one]) != digest_examples([other])


def test_a_reference_without_fields_teaches_lines_but_no_labels() -> None:
    assert make_targets(["The kettle broke. A new one was sent."], None, SERVICE) == [
        Target("The kettle broke.\nA new one was sent.\n=", is_whole=False)
    ]


def test_a_reference_that_nobody_answered_ends_with_the_sentence_of_the_rule(tmp_path: Path) -> None:
    changes = {"resolution": "no_answer", "action": "", "follow_up": None}
    [example] = load_examples(str(write_row(tmp_path, **changes)), "train")
    assert example.labels is not None
    lines = lines_of_reference("The lid was cracked. The message went unanswered.", example.labels)
    assert lines == ["The lid was cracked.", "No agent replied."]


@pytest.mark.parametrize(
    "changes", [{"follow_up": {"what": "x"}}, {"turns": [{"speaker": "bot", "text": "x"}]}, {"issue": 3}]
)
def test_a_row_that_is_not_right_is_named_with_its_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match=r"train\.jsonl, line 1: not a service row"):
        load_examples(str(write_row(tmp_path, **changes)), "train")
