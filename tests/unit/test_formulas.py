"""No program takes a cell of an export for a formula, whatever separator it reads the file with."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producer.export import write_csv
from producer.formulas import guard, unguard

FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("\n=1+1", "'\n'=1+1"),
        ("\t=1+1", "'\t'=1+1"),
        ("\rhello", "'\rhello"),
        ("hello;=HYPERLINK(A1)", "hello;'=HYPERLINK(A1)"),
        ("hello; =HYPERLINK(A1)", "hello; '=HYPERLINK(A1)"),
        ('hello;"=HYPERLINK(A1)"', 'hello;"\'=HYPERLINK(A1)"'),
        ("hello\t@SUM(A1)", "hello\t'@SUM(A1)"),
        ("hello|=1", "hello|'=1"),
        ("user: hi\n-1+cmd", "user: hi\n'-1+cmd"),
        ("'=late", "''=late"),
        ("-12.50", "-12.50"),
        ("paid;-12.50", "paid;-12.50"),
        ("a = b; c > d", "a = b; c > d"),
        ("rock 'n' roll", "rock 'n' roll"),
    ],
)
def test_a_formula_anywhere_in_a_cell_is_text(text: str, cell: str) -> None:
    assert guard(text) == cell
    assert unguard(cell) == text


@given(st.text(alphabet="=+-@＝'\"; |\t\r\n1.a", max_size=12))
@example("'\n")
@example("''\t=")
def test_what_is_guarded_comes_back_as_it_was(text: str) -> None:
    assert unguard(str(guard(text))) == text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@given(text=st.text(alphabet="=+-@＝'\"; ,|\t\r\nab", max_size=12))
def test_no_cell_is_a_formula_to_a_reader_with_any_separator(separator: str, text: str) -> None:
    file = io.StringIO(newline="")
    write_csv(file, ["id", "summary"], iter([{"id": "C-1", "summary": text}]))
    file.seek(0)
    cells = [cell.strip(' "') for row in csv.reader(file, delimiter=separator) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FORMULA_SIGNS)]
