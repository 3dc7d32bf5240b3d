"""What is said to a file that cannot be read as it is, can be followed."""

import gzip
import random
import shlex
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from producer.source import open_source, parse_mapping
from tests.unit.sources import read, texts, write


def told(path: Path, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("delimiter", "typed"), [("^", "'^'"), ("~", "'~'"), ("%", "%"), ("·", "'·'"), ("\x1f", ""), ("#", "'#'")]
)
def test_a_header_that_was_not_taken_apart(tmp_path: Path, delimiter: str, typed: str) -> None:
    path = write(
        tmp_path, f"conversation_id{delimiter}chan-nel{delimiter}transcript\n1{delimiter}x{delimiter}user: a\n"
    )
    message = told(path)
    assert message.startswith("export.csv: there is one column only, 'conversation_id")
    assert "--map" not in message
    if typed:
        assert f"name it: --delimiter {typed}. Known are" in message
        assert texts(read(path, delimiter=shlex.split(typed)[0])[0])
    else:
        assert "A conversation needs two at least" in message


def test_a_delimiter_that_was_told_wrong(tmp_path: Path) -> None:
    assert "--delimiter ," in told(write(tmp_path, "id,transcript\n1,user: a\n"), delimiter=";")
    assert "--delimiter tab" in told(write(tmp_path, "id\ttranscript\n1\tuser: a\n"), delimiter=";")


@pytest.mark.parametrize("names", [("nr", "what's said"), ("Fall Nr.", "$text"), ("nr", '"a"=`b`')])
def test_a_map_that_is_proposed_is_one(tmp_path: Path, names: tuple[str, str]) -> None:
    quoted = ";".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)
    path = write(tmp_path, f"{quoted}\n1;user: a\n")
    words = shlex.split(told(path).partition("for example ")[2])
    assert texts(read(path, mapping=parse_mapping(words[words.index("--map") + 1]))[0]) == {"1": "user:  a\n"}


def test_a_column_is_not_proposed_twice_nor_taken_twice(tmp_path: Path) -> None:
    assert "--map 'id=text,transcript=…'" in told(write(tmp_path, "text,text\n1,user: a\n"))
    with pytest.raises(SourceError, match="--map names the column 'body' twice; each field needs one of its own"):
        parse_mapping("id=body,transcript=body")


@pytest.mark.parametrize(
    ("encoding", "why"),
    [("utf-16", "stream does not start with BOM"), ("undefined", "undefined encoding")],
)
def test_an_encoding_that_cannot_be(tmp_path: Path, encoding: str, why: str) -> None:
    message = told(write(tmp_path, "id,transcript\n1,user: a\n"), encoding=encoding)
    assert message.startswith(f"export.csv: cannot be read as {encoding} (")
    assert why in message
    assert "Leave --encoding out" in message


@pytest.mark.parametrize("content", ["", f"1,user: {'a' * 2_000}\n" * 500])
def test_a_source_that_grows_or_shrinks_while_it_is_read_says_so(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, "id,transcript\n1,user: a\n" + content)
    with open_source(str(path)) as source:
        with path.open("ab") as file:
            file.write(b"2,user: caf\xe9\n")
        with pytest.raises(SourceError, match=r"^export\.csv: changed while it was read .* Is its export finished\?"):
            list(source)
        path.unlink()
        with pytest.raises(SourceError, match=r"^export\.csv: changed while it was read .*No such file"):
            list(source)


def test_an_archive_that_shrinks_while_it_is_read_says_so(tmp_path: Path) -> None:
    content = gzip.compress(
        "".join(["id,transcript\n", *(f"{each},user: {random.randbytes(500).hex()}\n" for each in range(500))]).encode()
    )
    path = write(tmp_path, content)
    with open_source(str(path)) as source:
        path.write_bytes(content[:-1_000])
        with pytest.raises(SourceError, match="changed while it was read"):
            list(source)
