"""Sources in which a row is a turn: grouped by conversation, whatever the order of the rows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sources import read_text, texts, to_csv

_HEADER = ["conversation_id", "speaker", "text", "time"]


def test_interleaved_turns_are_grouped_in_order_of_appearance(tmp_path: Path) -> None:
    rows, _ = read_text(
        tmp_path,
        "conversation_id,role,message\nb,customer,one\na,user,hello\nb,agent,two\na,assistant,hi\nb,customer,three\n",
    )
    assert [(row.line, row.conversation.external_id) for row in rows] == [(2, "b"), (3, "a")]
    assert texts(rows) == {"b": "user: one\nagent: two\nuser: three\n", "a": "user: hello\nagent: hi\n"}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-11-20T10:31:07Z", "2026-11-20T10:31:08Z"),
        ("2026-11-20 23:59", "2026-11-21 00:01"),
        ("2026-11-20T12:00:00+02:00", "2026-11-20T11:00:00+00:00"),
        ("999999999", "1000000000"),
        ("1700000000000", "1700000000001"),
        ("Tue Oct 31 22:10:47 +0000 2017", "Wed Nov 01 02:10:47 +0000 2017"),
        ("Sun Dec 31 23:00:00 -0500 2017", "Mon Jan 01 05:00:00 +0000 2018"),
    ],
)
def test_turns_stand_in_time_order(tmp_path: Path, earlier: str, later: str) -> None:
    rows, _ = read_text(tmp_path, to_csv([_HEADER, ["1", "agent", "second", later], ["1", "user", "first", earlier]]))
    assert texts(rows) == {"1": "user: first\nagent: second\n"}


def test_a_turn_without_a_time_stays_between_its_neighbours(tmp_path: Path) -> None:
    turns = [
        ["1", "user", "third", "2026-11-20"],
        ["1", "agent", "second", "soon"],
        ["1", "user", "first", "2026-11-19"],
    ]
    rows, _ = read_text(tmp_path, to_csv([_HEADER, *turns]))
    assert texts(rows) == {"1": "user: first\nagent: second\nuser: third\n"}


def test_the_inbound_flag_tells_the_customer(tmp_path: Path) -> None:
    rows, rejected = read_text(
        tmp_path, "ticket_id,inbound,body\n1,True,hello\n1,0,hi\n2,maybe,what\n1,yes,thanks\n2,yes,well\n"
    )
    assert texts(rows) == {"1": "user: hello\nagent: hi\nuser: thanks\n"}
    assert [row.line for row in rejected] == [4, 6]
    assert "'maybe'" in rejected[0].reason


def test_columns_can_be_told(tmp_path: Path) -> None:
    text = "ticket,from whom,body,speaker\n1,customer,hello,x\n"
    rows, _ = read_text(tmp_path, text, mapping={"speaker": "from whom"})
    assert texts(rows) == {"1": "user: hello\n"}


def test_a_told_flag_outweighs_a_speaker_column(tmp_path: Path) -> None:
    rows, _ = read_text(tmp_path, "id,role,text,ours\n1,L2,hello,1\n", mapping={"inbound": "ours"})
    assert texts(rows) == {"1": "user: hello\n"}


def test_a_turn_that_belongs_to_no_conversation_is_rejected_alone(tmp_path: Path) -> None:
    turns = [["1", "user", "a", ""], ["", "user", "c", ""], ["1", "user"], ["1", "agent", "d", ""]]
    rows, rejected = read_text(tmp_path, to_csv([_HEADER, *turns]))
    assert texts(rows) == {"1": "user: a\nagent: d\n"}
    assert [row.line for row in rejected] == [3, 4]


def test_a_turn_that_cannot_be_read_takes_its_conversation_along(tmp_path: Path) -> None:
    """Half a conversation misleads."""
    turns = [
        ["1", "user", "a", ""],
        ["1", "", "b", ""],
        ["1", "agent", "c", ""],
        ["2", "user", "e", ""],
    ]
    rows, rejected = read_text(tmp_path, to_csv([_HEADER, *turns]))
    assert texts(rows) == {"2": "user: e\n"}
    assert [row.line for row in rejected] == [2, 3, 4]
    assert "does not say who speaks" in rejected[0].reason


def test_every_row_of_a_conversation_that_is_too_long_is_rejected(tmp_path: Path) -> None:
    turns = [["1", "user", f"turn {number}", ""] for number in range(20)]
    rows, rejected = read_text(tmp_path, to_csv([_HEADER, *turns, ["2", "user", "hi", ""]]), max_conversation_chars=50)
    assert texts(rows) == {"2": "user: hi\n"}
    assert [row.line for row in rejected] == list(range(2, 22))
    assert rejected[0].row == ("1", "user", "turn 0", "")


@given(st.data())
def test_the_order_of_the_rows_does_not_matter_where_there_are_times(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
    turns = [[key, "user" if n % 2 else "agent", f"said {n}", str(1_700_000_000 + n)] for n, key in enumerate(ids)]
    folder = tmp_path_factory.mktemp("turns")
    ordered, _ = read_text(folder, to_csv([_HEADER, *turns]))
    shuffled, _ = read_text(folder, to_csv([_HEADER, *data.draw(st.permutations(turns))]))
    assert texts(ordered) == texts(shuffled)
