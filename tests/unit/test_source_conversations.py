"""Sources in which a row is a conversation: transcripts, their speakers, and the rows that are rejected."""

from pathlib import Path

import pytest

from aftercall.conversation import Turn
from tests.unit.sources import read_text, texts, to_csv


def _turns(folder: Path, transcript: str) -> tuple[Turn, ...]:
    (row,), rejected = read_text(folder, to_csv([["id", "transcript"], ["1", transcript]]))
    assert not rejected
    return row.conversation.turns


@pytest.mark.parametrize(
    ("user", "agent"),
    [
        ("user", "agent"),
        ("Customer", "Agent"),
        ("CLIENT", "Support"),
        ("caller ", "Rep"),
        ("[10:31] Customer", "[10:32] Agent"),
        ("10:31:07 - Customer", "10:32:00 - Agent"),
        ("(2026-11-20 10:31) Customer", "[2026-11-20T10:32:00Z] Agent"),
        ("9:05 am Customer", "9:07 PM Agent"),
        ("Customer (Anna)", "Agent (Maria, team 4)"),
        ("Customer 1", "Agent 2"),
        ("**Customer**", "**Agent**"),
        ("[Customer]", "[Agent]"),
        ("Customer：", "Customer Service"),
    ],
)
def test_speakers_are_known_by_many_names(tmp_path: Path, user: str, agent: str) -> None:
    turns = _turns(tmp_path, f"{user}: it broke\n{agent}: since when?".replace("：:", "："))
    assert [(turn.speaker, turn.text.strip()) for turn in turns] == [("user", "it broke"), ("agent", "since when?")]


def test_a_line_without_a_speaker_belongs_to_the_turn_above(tmp_path: Path) -> None:
    turns = _turns(tmp_path, "\nCustomer: two things:\nfirst: the bill\n\nsecond the line\r\nAgent:\nsure: both")
    assert turns == (Turn("user", " two things:\nfirst: the bill\n\nsecond the line"), Turn("agent", "\nsure: both"))


def test_a_word_that_only_looks_like_a_speaker_is_none(tmp_path: Path) -> None:
    rows, (rejected,) = read_text(tmp_path, "id,transcript\n1,clıent 1: dotless\n")
    assert not rows
    assert "'clıent 1'" in rejected.reason


def test_of_two_columns_that_could_be_it_the_surer_and_then_the_first_is_taken(tmp_path: Path) -> None:
    rows, _ = read_text(tmp_path, "id,Text,text,ticket_id\n1,user: first,user: second,T9\n")
    assert texts(rows) == {"T9": "user:  first\n"}


@pytest.mark.parametrize("header", ["conversation_id,transcript", "Ticket ID,Chat", "id;dialogue", "caseNumber|body"])
def test_headers_are_known_by_many_names(tmp_path: Path, header: str) -> None:
    delimiter = next(mark for mark in ",;|" if mark in header)
    rows, rejected = read_text(tmp_path, f"{header}\n7{delimiter}user: hello\n")
    assert texts(rows) == {"7": "user:  hello\n"}
    assert not rejected


def test_other_columns_do_not_matter(tmp_path: Path) -> None:
    rows, _ = read_text(tmp_path, "channel,transcript,rating,conversation_id\nchat,user: hello,5,a-1\n")
    assert texts(rows) == {"a-1": "user:  hello\n"}


def test_columns_can_be_told(tmp_path: Path) -> None:
    text = "nr,what was said,id\n5,customer: hello,x\n"
    rows, _ = read_text(tmp_path, text, mapping={"id": "nr", "transcript": "what was said"})
    assert texts(rows) == {"5": "user:  hello\n"}


def test_bad_rows_are_rejected_with_line_and_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = (
        "id,channel,transcript\n"
        '1,chat,"user: a quoted\nline break"\n'
        "2,chat\n"
        "3,chat,user: hi,more\n"
        ' ,chat,"user: no id"\n'
        "5,chat,\n"
        "\n"
        "6,chat, user: \n"
        "7,chat,Robot: beep\n"
        "8,chat,user: fine\n"
    )
    rows, rejected = read_text(tmp_path, text)
    assert [(row.line, row.conversation.external_id) for row in rows] == [(2, "1"), (11, "8")]
    assert [(row.line, row.row) for row in rejected] == [
        (4, ("2", "chat")),
        (5, ("3", "chat", "user: hi", "more")),
        (6, (" ", "chat", "user: no id")),
        (7, ("5", "chat", "")),
        (9, ("6", "chat", " user: ")),
        (10, ("7", "chat", "Robot: beep")),
    ]
    reasons = [row.reason for row in rejected]
    for reason, words in zip(
        reasons, ["2 cells", "4 cells", "no id", "empty", "empty", "'Robot' is a customer or an agent"], strict=True
    ):
        assert words in reason


def test_a_row_as_it_was_stands_with_its_conversation(tmp_path: Path) -> None:
    (row,), _ = read_text(tmp_path, "id,transcript\n 1 ,user: hi\n")
    assert row.row == (" 1 ", "user: hi")
    assert row.conversation.external_id == "1"


def test_a_cell_of_ten_megabytes_is_rejected_alone(tmp_path: Path) -> None:
    text = to_csv([["id", "transcript"], ["1", "user: " + "long " * 2_000_000], ["2", "user: short"]])
    rows, (rejected,) = read_text(tmp_path, text)
    assert texts(rows) == {"2": "user:  short\n"}
    assert rejected.line == 2
    assert "longer than 1,000,000 characters" in rejected.reason


def test_the_limit_can_be_set(tmp_path: Path) -> None:
    text = to_csv([["id", "transcript"], ["1", "user: hello"], ["2", "user: hello there"]])
    rows, (rejected,) = read_text(tmp_path, text, max_conversation_chars=12)
    assert [row.conversation.external_id for row in rows] == ["1"]
    assert rejected.line == 3


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    rows, (rejected,) = read_text(tmp_path, 'id,transcript\n1,user: a\n2,"user: b\n3,user: c\n4,user: d\n')
    assert [(row.line, row.conversation.external_id) for row in rows] == [(2, "1"), (4, "3"), (5, "4")]
    assert rejected.line == 3
    assert rejected.row == ('2,"user: b',)
    assert "quoting" in rejected.reason


@pytest.mark.parametrize("external_id", ["x" * 256, "tab\there", "bell\x07"])
def test_an_id_that_the_ledger_cannot_hold_is_rejected(tmp_path: Path, external_id: str) -> None:
    rows, (rejected,) = read_text(tmp_path, to_csv([["id", "transcript"], [external_id, "user: hi"]]))
    assert not rows
    assert "255 characters" in rejected.reason
