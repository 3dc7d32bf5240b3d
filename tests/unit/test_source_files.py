"""Files in every encoding and wrapping, and the sentences for those that cannot be read."""

import gzip
import io
import sys
from pathlib import Path

import pytest

from aftercall.errors import SourceError
from producer.source import SourceOptions, open_source, parse_mapping
from tests.unit.sources import read, texts, write

_TEXT = 'id,transcript\n1,"user: café costs 5 €\nagent: señor, no"\n2,user: déjà\n'
_EXPECTED = {"1": "user:  café costs 5 €\nagent:  señor, no\n", "2": "user:  déjà\n"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_is_recognised(tmp_path: Path, encoding: str) -> None:
    rows, rejected = read(write(tmp_path, _TEXT.encode(encoding)))
    assert texts(rows) == _EXPECTED
    assert [row.line for row in rows] == [2, 4]
    assert not rejected


@pytest.mark.parametrize("encoding", ["utf-16-le", "iso8859-15", "utf-8"])
def test_the_encoding_can_be_told(tmp_path: Path, encoding: str) -> None:
    assert texts(read(write(tmp_path, _TEXT.encode(encoding)), encoding=encoding)[0]) == _EXPECTED


@pytest.mark.parametrize("line_break", ["\r\n", "\r"])
def test_line_breaks_of_other_systems(tmp_path: Path, line_break: str) -> None:
    rows, _ = read(write(tmp_path, _TEXT.replace("\n", line_break)))
    assert [(turn.speaker, turn.text) for turn in rows[0].conversation.turns] == [
        ("user", " café costs 5 €"),
        ("agent", " señor, no"),
    ]
    assert [row.line for row in rows] == [2, 4]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join(["id", '"note; a, b | c"', "transcript"]) + "\n"
    text += delimiter.join(["1", "x", '"user: a, b; c | d"']) + "\n"
    assert texts(read(write(tmp_path, text))[0]) == {"1": "user:  a, b; c | d\n"}


@pytest.mark.parametrize(("delimiter", "told"), [("~", "~"), ("\t", "tab"), ("\t", "\\t")])
def test_the_delimiter_can_be_told(tmp_path: Path, delimiter: str, told: str) -> None:
    path = write(tmp_path, f"id{delimiter}transcript\n1{delimiter}user: a\n")
    assert texts(read(path, delimiter=told)[0]) == {"1": "user:  a\n"}


@pytest.mark.parametrize("name", ["export.csv.gz", "export.csv"])
def test_a_compressed_file_is_known_by_its_bytes(tmp_path: Path, name: str) -> None:
    assert texts(read(write(tmp_path, gzip.compress(_TEXT.encode()), name))[0]) == _EXPECTED


def test_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(_TEXT.encode())))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_source("-") as source:
        assert source.name == "stdin"
        assert [texts([row]) for row in source] == [texts([row]) for row in source]  # type: ignore[list-item]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def _digest(path: Path, options: SourceOptions | None = None) -> str:
    with open_source(str(path), options) as source:
        return source.digest


def test_the_digest_is_that_of_the_content_and_the_options(tmp_path: Path) -> None:
    plain = write(tmp_path, _TEXT)
    assert _digest(plain) == _digest(write(tmp_path, gzip.compress(_TEXT.encode()), "other.gz"))
    assert _digest(plain) != _digest(plain, SourceOptions(max_conversation_chars=5))
    assert _digest(plain) != _digest(write(tmp_path, _TEXT + "3,user: x\n", "more.csv"))


def _bad(folder: Path, content: str | bytes, **options: str) -> str:
    with pytest.raises(SourceError) as caught:
        read(write(folder, content), **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "empty but for white space"),
        (b"id,transcript\n", "a header and no rows"),
        (b"PK\x03\x04 and so on", "the archive is cut off or damaged"),
        (b"%PDF-1.7", "a PDF document"),
        (b"id,trans\x00cript\n1,user: hi", "byte 8 is NUL"),
        (_TEXT.encode("utf-16-le"), "--encoding utf-16-le"),
        ("id,transcript\n1,user: ü\n2,user: ".encode() + b"\xfc\n", "byte 33, in line 3, is no utf-8 (0xfc)"),
        (b"id,transcript\n1,user: \xfc\n2,user: \x81\n", "neither UTF-8 nor Windows-1252 text (byte 0x81 in line 3)"),
        (gzip.compress(_TEXT.encode() * 100)[:-20], "cut off or damaged"),
        (b"\x1f\x8b and no archive", "cut off or damaged"),
        (b'[{"id": 1}]', "there is one column only, 'id'"),
        (b'{"id":\n1', "the JSON is cut off or broken"),
        (b'{"a": 1}', "there is one column only, 'a'. A conversation needs two at least"),
        (b"id,text,text\n1,user: a,b\n", "two columns are called 'text'"),
        (b"id,transcript" + b",x" * (1 << 16), "a header and no rows"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in _bad(tmp_path, content)
    assert _bad(tmp_path, content).startswith("export.csv: ")


def test_a_told_encoding_that_does_not_fit_says_where(tmp_path: Path) -> None:
    message = _bad(tmp_path, b"id,transcript\n1,user: caf\xe9\n", encoding="utf-8")
    assert "byte 25, in line 2, is no utf-8 (0xe9)" in message
    assert "cp1252" in message


def test_damage_beyond_the_first_megabyte_is_found(tmp_path: Path) -> None:
    content = b"id,transcript\n" + "1,user: é\n".encode() * 200_000 + b"2,user: \xe9\n"
    assert "in line 200002, is no utf-8 (0xe9)" in _bad(tmp_path, content)


def test_an_endless_line_is_no_source(tmp_path: Path) -> None:
    assert "line 2 is longer than 64 MiB" in _bad(tmp_path, b"id,transcript\n" + b"x" * (65 << 20))


def test_an_unknown_header_names_the_columns_the_known_ones_and_the_way_out(tmp_path: Path) -> None:
    message = _bad(tmp_path, "nr,what was said\n1,hello\n")
    assert "'nr', 'what was said'" in message
    assert "tweet_id" in message
    assert "one turn a row" in message
    assert "--map 'id=nr,transcript=what was said'" in message


def test_a_map_to_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'ticket', but the columns are 'id', 'transcript'"):
        read(write(tmp_path, _TEXT), mapping={"id": "ticket"})


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source(str(tmp_path / "missing.csv"))
    with pytest.raises(SourceError, match="there is no file in it that can be read"):
        open_source(str(tmp_path))


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    assert "no encoding is called 'klingon'" in _bad(tmp_path, _TEXT, encoding="klingon")
    assert "no encoding is called 'base64'" in _bad(tmp_path, _TEXT, encoding="base64")
    with pytest.raises(SourceError, match="not one character"):
        SourceOptions(delimiter="ab")
    with pytest.raises(SourceError, match="'colour=x' is none"):
        parse_mapping("id=a,colour=x")
    assert parse_mapping("id=Ticket Nr, text=body") == {"id": "Ticket Nr", "text": "body"}
