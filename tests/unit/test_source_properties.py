"""What holds for every source, however ugly."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aftercall.errors import SourceError
from tests.unit.sources import read, texts, to_csv, write

_PIECES = (b"id", b"transcript", b"user: hi", b",", b";", b"\n", b"\r", b'"', b"\xff", b"\x00", b"{", b"}")
_UGLY_BYTES = st.lists(st.sampled_from(_PIECES)).map(b"".join)
_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
_WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=20)


@given(st.binary(max_size=200) | _UGLY_BYTES | _UGLY_BYTES.map(lambda tail: b"id,transcript\n" + tail))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
@example(b"id,transcript\n1,\x85\n")
@example(b"{}")
def test_no_bytes_crash_the_reading(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows, rejected = read(write(Path(folder), content))
        except SourceError as error:
            assert str(error)
        else:
            assert rows or rejected


def _is_row(cells: list[str]) -> bool:
    """Rows of nothing but white space are no rows."""
    return any(cell.strip() for cell in cells)


@given(st.lists(st.lists(_CELL, min_size=1, max_size=4).filter(_is_row), min_size=1, max_size=8))
def test_every_row_is_read_or_rejected(cells: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows, rejected = read(write(Path(folder), to_csv([["id", "transcript", "note"], *cells])))
    assert len(rows) + len(rejected) == len(cells)


@given(
    st.lists(st.tuples(_WORDS, _WORDS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_delimiter_encoding_and_line_breaks_make_no_difference(
    said: list[tuple[str, str]], delimiter: str, encoding: str, line_break: str
) -> None:
    table = [["id", "transcript"]]
    table += [[str(number), f"user:x{one}\nagent:{other}"] for number, (one, other) in enumerate(said)]
    text = to_csv(table, delimiter).replace("\n", line_break)
    with tempfile.TemporaryDirectory() as folder:
        rows, rejected = read(write(Path(folder), text.encode(encoding)))
    assert not rejected
    assert texts(rows) == {str(number): f"user: x{one}\nagent: {other}\n" for number, (one, other) in enumerate(said)}


@pytest.mark.parametrize("num_lines", [0, 1, 5])
def test_lines_are_counted_through_quoted_breaks(tmp_path: Path, num_lines: int) -> None:
    first = "user: a" + "\nb" * num_lines
    rows, (rejected,) = read(write(tmp_path, to_csv([["id", "transcript"], ["1", first], [""], ["2", ""]])))
    assert rows[0].line == 2
    assert rejected.line == 2 + num_lines + 1 + 1
