"""Tables as Excel and other programs leave them, and the ids and cells that they spoil."""

import bz2
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import SourceError
from producer.source import open_source
from tests.unit.sources import read, read_text, texts, to_csv, write

_EXPECTED = {"1": "user:  a\n", "2": "user:  b\n"}
_WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "S", "Zs"]), max_size=20)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nid;transcript\n1;user: a\n2;user: b\n",
        'SEP=|\r\nid|transcript\r\n1|"user: a"\r\n2|user: b\r\n',
        "\ufeffsep=\t\nid\ttranscript\n1\tuser: a\n2\tuser: b\n",
        "Support conversations,,\n,,\nMade by: Ops,20/11/2025,\nid,transcript,csat\n1,user: a,5\n2,user: b,\n",
        "Support conversations of November\n\nid;transcript\n1;user: a\n2;user: b\n",
        "id,transcript\n1,user: a,\n2,user: b,,\n",
        "id,transcript,,\n1,user: a\n2,user: b,,\n",
        "id,transcript,csat,tags\n1,user: a\n2,user: b,5\n",
        "id,transcript\n1,user: a\nid,transcript\n2,user: b\n",
    ],
)
def test_what_a_spreadsheet_adds_or_leaves_out_makes_no_difference(tmp_path: Path, text: str) -> None:
    rows, rejected = read_text(tmp_path, text)
    assert texts(rows) == _EXPECTED
    assert not rejected


def test_lines_are_counted_below_a_sep_line_and_titles(tmp_path: Path) -> None:
    rows, (rejected,) = read_text(tmp_path, "sep=,\nTitle,,\n\nid,transcript,x\n1,user: a,\n,user: b,\n")
    assert rows[0].line == 5
    assert rejected.line == 6


def test_a_row_that_lacks_more_than_trailing_cells_is_rejected(tmp_path: Path) -> None:
    rows, (rejected,) = read_text(tmp_path, "id,channel,transcript,csat\n1,chat,user: a\n2,chat\n")
    assert texts(rows) == {"1": "user:  a\n"}
    assert rejected.reason == "the row has 2 cells where the header has 4."


def test_a_turn_without_its_trailing_time_is_read(tmp_path: Path) -> None:
    rows, rejected = read_text(tmp_path, "id,role,text,time\n1,user,hello,2026-11-20\n1,agent,hi\n")
    assert texts(rows) == {"1": "user: hello\nagent: hi\n"}
    assert not rejected


@pytest.mark.parametrize(
    "text",
    [
        "id,transcript,csat\n0,user: all,5\n1,Customer: it broke\nAgent: since?\nCustomer: Monday,5\n9,user: z,1\n",
        "id,transcript\n0,user: all\n1,Customer: it broke\nAgent: since?\nCustomer: on Monday, I think\n9,user: z\n",
    ],
)
def test_of_a_text_with_unquoted_line_breaks_no_half_is_read(tmp_path: Path, text: str) -> None:
    rows, rejected = read_text(tmp_path, text)
    assert [row.conversation.external_id for row in rows] == ["0", "9"]
    assert [row.line for row in rejected] == [3, 4, 5]
    assert "line breaks and no quotes" in rejected[0].reason


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (r"user: the \"pro\" plan, please", ' the "pro" plan, please'),
        (r"user: \"pro\"", ' "pro"'),
        (r"user: C:\new \"x\"", r' C:\new "x"'),
        (r"user: a backslash \\", " a backslash \\\\"),
        ('user: two\nlines \\"x\\"\nthree', ' two\nlines "x"\nthree'),
    ],
)
def test_a_quote_may_be_escaped_with_a_backslash(tmp_path: Path, cell: str, said: str) -> None:
    rows, rejected = read_text(tmp_path, f'id,transcript\n1,"{cell}"\n2,"user: b"\n')
    assert not rejected
    assert rows[0].conversation.turns[0].text == said
    assert [row.conversation.external_id for row in rows] == ["1", "2"]


@given(st.lists(_WORDS, min_size=1, max_size=5), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_titles_and_empty_columns_change_nothing(
    said: list[str], num_titles: int, num_empty: int, is_short: bool
) -> None:
    table = [["id", "transcript", "csat"]]
    table += [[f"T{number}", f"user: x{words}", *([] if is_short else ["5"])] for number, words in enumerate(said)]
    plain = to_csv(table)
    titles = [["Title"] + [""] * 2 for _ in range(num_titles)]
    dressed = to_csv([*titles, *([*row, *[""] * num_empty] for row in table)])
    with tempfile.TemporaryDirectory() as folder:
        expected, _ = read(write(Path(folder), plain))
        rows, rejected = read(write(Path(folder), dressed))
    assert not rejected
    assert texts(rows) == texts(expected)
    assert len(rows) == len(said)


# -- ids and missing values


@pytest.mark.parametrize("external_id", ["1.23457E+15", "1,23457E+15", "9e+17", "1.2345678901234567e+18", "-1.5E+10"])
def test_a_rounded_id_is_refused_with_the_reason(tmp_path: Path, external_id: str) -> None:
    rows, (rejected,) = read_text(tmp_path, to_csv([["id", "transcript"], [external_id, "user: a"]]))
    assert not rows
    assert external_id in rejected.reason
    assert "scientific notation" in rejected.reason


def test_a_float_of_more_digits_than_floats_have_is_refused(tmp_path: Path) -> None:
    rows, rejected = read_text(tmp_path, "id,transcript\n9007199254740992.0,user: a\n12345678901234567890.0,user: b\n")
    assert list(texts(rows)) == ["9007199254740992"]
    assert "rounded" in rejected[0].reason


@pytest.mark.parametrize(
    ("cell", "external_id"),
    [("1001.0", "1001"), ("7.00", "7"), ("7E10", "7E10"), ("1.5", "1.5"), ("01-Nov", "01-Nov"), ("v1.0", "v1.0")],
)
def test_an_id_that_became_a_float_is_a_whole_number_again(tmp_path: Path, cell: str, external_id: str) -> None:
    assert list(texts(read_text(tmp_path, f"id,transcript\n{cell},user: a\n")[0])) == [external_id]


@given(st.integers(0, 1 << 53))
def test_every_whole_number_survives_as_a_float(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows, _ = read_text(Path(folder), f"id,transcript\n{number}.0,user: a\n")
    assert list(texts(rows)) == [str(number)]


@pytest.mark.parametrize("missing", ["nan", "NaN", "NULL", "null", "\\N", "<NA>", "#N/A"])
def test_a_missing_value_is_no_word(tmp_path: Path, missing: str) -> None:
    rows, rejected = read_text(tmp_path, f"id,role,text\n1,user,hello\n1,agent,{missing}\n{missing},user,x\n")
    assert texts(rows) == {"1": "user: hello\n"}
    assert "no id" in rejected[0].reason
    rows, (rejected_row,) = read_text(tmp_path, f"id,transcript\n1,{missing}\n2,user: no\n")
    assert list(texts(rows)) == ["2"]
    assert "empty" in rejected_row.reason


def test_a_customer_may_say_none(tmp_path: Path) -> None:
    rows, _ = read_text(tmp_path, "id,role,text\n1,agent,Any questions?\n1,user,None\n")
    assert texts(rows) == {"1": "agent: Any questions?\nuser: None\n"}


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    header = ["id", "role", "text", "time"]
    turns = [
        ["1", "user", "hello", "2026-11-20T10:00:00"],
        ["1", "agent", "hi", "2026-11-20T10:00:05"],
        ["1", "user", "hello", "2026-11-20T10:00:09"],
    ]
    rows, rejected = read_text(tmp_path, to_csv([header, *turns, *turns]))
    assert texts(rows) == {"1": "user: hello\nagent: hi\nuser: hello\n"}
    assert not rejected


def test_without_times_only_a_row_right_below_is_the_same_row(tmp_path: Path) -> None:
    turns = [["1", "user", "ok"], ["1", "user", "ok"], ["1", "agent", "and?"], ["1", "user", "ok"]]
    rows, _ = read_text(tmp_path, to_csv([["id", "role", "text"], *turns]))
    assert texts(rows) == {"1": "user: ok\nagent: and?\nuser: ok\n"}


# -- files without a header


_SECRET = "my phone is broken and I need a new one"


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("export.csv", ","), ("last night's export.csv", ";"), ("a$b`c.csv", "\t"), ("100%.csv", "|")],
)
@pytest.mark.parametrize(
    "rows",
    [
        [["T-1", f"Customer: {_SECRET}\nAgent: sent"], ["T-2", "Customer: another one"]],
        [["T-1", "customer", _SECRET, "2025-11-20"], ["T-1", "agent", "sent", "2025-11-20"]],
    ],
)
def test_a_file_without_a_header_is_refused_in_a_sentence_that_can_be_pasted(
    tmp_path: Path, name: str, delimiter: str, rows: list[list[str]]
) -> None:
    path = write(tmp_path, to_csv(rows, delimiter), name)
    with pytest.raises(SourceError) as caught:
        read(path)
    message = str(caught.value)
    assert "there is no header row" in message
    assert _SECRET not in message and "T-1" not in message
    command, _, submit = message.partition("\n  ")[2].partition(" | aftercall submit ")
    assert shlex.split(submit) == ["-"]
    pasted = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    found, rejected = read(write(tmp_path, pasted, "pasted.csv"))
    assert not rejected
    assert sum(len(row.conversation.turns) for row in found) == len(rows) + (len(rows[0]) == 2)


def test_the_advice_for_a_compressed_file_reads_it_decompressed(tmp_path: Path) -> None:
    path = write(tmp_path, bz2.compress(f"T-1,Customer: {_SECRET}\nT-2,Customer: another\n".encode()), "x y.csv.bz2")
    with pytest.raises(SourceError, match="bzip2 -dc") as caught:
        open_source(str(path))
    command = str(caught.value).partition("\n  ")[2].partition(" | ")[0]
    pasted = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert len(read(write(tmp_path, pasted, "pasted.csv"))[0]) == 2


@pytest.mark.parametrize("header", ["nr,what was said", "Fall-Nr.,Verlauf", "id 2,text 7b,score"])
def test_an_unknown_header_is_a_header(tmp_path: Path, header: str) -> None:
    with pytest.raises(SourceError, match="are not those of a support export"):
        read(write(tmp_path, f"{header}\n1,user: {_SECRET}\n"))


def test_a_told_map_finds_the_header_under_titles(tmp_path: Path) -> None:
    text = "All conversations,\nnr,what was said\n1,user: a\n2,user: b\n"
    rows, _ = read(write(tmp_path, text), mapping={"id": "nr", "transcript": "what was said"})
    assert texts(rows) == _EXPECTED
