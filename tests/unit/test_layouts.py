"""Layouts as data: those that ship, a user's own, and what is said about one that cannot be used."""

import re
import tomllib
from pathlib import Path
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import SourceError
from producer.readers.layouts.layout import LayoutError, parse_layout
from producer.readers.layouts.layout_files import find_layout, shipped_layouts, to_toml
from producer.readers.layouts.paths import compile_path, quote_name
from tests.unit.sources import read, texts, write

DOCS = Path(__file__).parents[2] / "docs/exports.md"
OWN = """
name = "acme-desk"
title = "Acme Desk"
shape = "conversations"
[conversation]
id = "nr"
turns = "thread.posts"
[turn]
speaker = "by"
text = "words"
kind = "sort"
[roles]
kunde = "user"
wir = "agent"
[kinds]
memo = "note"
"""
EXPORT = """[
  {"nr": 7, "thread": {"posts": [
    {"by": "Kunde", "words": "it broke", "sort": "post"},
    {"by": "wir", "words": "rude customer", "sort": "memo"},
    {"by": "WIR", "words": "since when?", "sort": "post"}]}}
]"""


@pytest.mark.parametrize("layout", shipped_layouts(), ids=lambda layout: layout.name)
def test_a_shipped_layout_is_known_by_something_and_survives_being_written(layout: Any) -> None:
    assert layout.keys
    assert find_layout(layout.name) == layout
    assert parse_layout(tomllib.loads(to_toml(layout)), "x.toml") == layout


def test_the_documentation_lists_the_layouts() -> None:
    page = DOCS.read_text()
    table = re.search(r"^\| layout \|.*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert table is not None
    rows = "\n".join(f"| `{layout.name}` | {layout.title} | {layout.shape[:-1]} |" for layout in shipped_layouts())
    expected = f"| layout | export | a record is a |\n|---|---|---|\n{rows}"
    if table[0] != expected:
        pytest.fail(f"paste this into docs/exports.md:\n\n{expected}", pytrace=False)


def test_a_user_teaches_an_export_in_a_few_lines(tmp_path: Path) -> None:
    layout = write(tmp_path, OWN, "my.toml")
    rows, rejected = read(write(tmp_path, EXPORT, "export.json"), layout=str(layout))
    assert texts(rows) == {"7": "user: it broke\nagent: since when?\n"}
    assert not rejected


def test_a_layout_that_does_not_fit_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the layout intercom does not fit: no record has .* 'nr', 'thread'"):
        read(write(tmp_path, EXPORT, "export.json"), layout="intercom")


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ('shape = "conversations"', 'shape = "dialogues"', "no shape; shape = one of 'conversations'"),
        ('turns = "thread.posts"', 'turns = "thread..posts"', "no JMESPath expression"),
        ('turns = "thread.posts"', 'rounds = "posts"', "unknown key conversation.rounds; known are id, transcript"),
        ('turns = "thread.posts"', "", "nothing says where the turns stand"),
        ('speaker = "by"', "", "nothing says who speaks"),
        ('speaker = "by"', "speaker = 3", "turn.speaker is 3; expected text in quotes"),
        ('text = "words"', "", "nothing says where a turn's text stands"),
        ('wir = "agent"', 'wir = "us"', "roles.wir is 'us'; expected one of user, agent, note, event"),
        ('title = "Acme Desk"', "[title", "is no TOML"),
    ],
)
def test_a_layout_that_is_wrong_says_where_and_what_was_expected(
    tmp_path: Path, line: str, instead: str, words: str
) -> None:
    path = write(tmp_path, OWN.replace(line, instead), "my.toml")
    with pytest.raises(LayoutError) as caught:
        find_layout(str(path))
    assert words in str(caught.value)
    assert "my.toml" in str(caught.value)


def test_an_unknown_layout_names_those_that_are_known() -> None:
    with pytest.raises(LayoutError, match=r"no layout is called 'intercm'\. Known are .*intercom"):
        find_layout("intercm")


_NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=6).filter(
    lambda name: "\\" not in name and name.strip() == name
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_a_plain_path_is_what_jmespath_makes_of_it(data: st.DataObject) -> None:
    record = data.draw(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=3))
    steps = [data.draw(st.sampled_from(sorted(record)))]
    inner = record[steps[0]]
    if isinstance(inner, dict) and inner:
        steps.append(data.draw(st.sampled_from(sorted(inner))))
    path = ".".join(map(quote_name, steps))
    either = f"{path} || {quote_name(sorted(record)[0])}"
    assert compile_path(path)(record) == jmespath.search(path, record)
    assert compile_path(either)(record) == jmespath.search(either, record)
