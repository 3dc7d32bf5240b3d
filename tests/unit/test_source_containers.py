"""Archives, compressed files, workbooks and Parquet files, and the sentences for what is not read."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from aftercall.errors import SourceError
from producer.readers.containers.limits import Limits
from producer.readers.containers.locate import locate_all
from tests.unit.sources import make_zip, read, texts, to_csv, write
from tests.unit.workbooks import make_workbook

_TEXT = "id,transcript\n1,user: a café\n2,user: b\n"
_EXPECTED = {"1": "user:  a café\n", "2": "user:  b\n"}
_COMPRESSED: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, lzma.compress, zstd.compress]


def _tar(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _refused(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        locate_all(str(path), limits)
    return str(caught.value)


def _members(path: Path) -> dict[str, bytes]:
    with locate_all(str(path)) as contents:
        return {content.name: b"".join(content.chunks()) for content in contents}


@pytest.mark.parametrize("compress", _COMPRESSED)
def test_a_compressed_file_is_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    assert texts(read(write(tmp_path, compress(_TEXT.encode())))[0]) == _EXPECTED
    # Files joined with cat are one file.
    joined = compress(_TEXT.encode()[:20]) + compress(_TEXT.encode()[20:])
    assert texts(read(write(tmp_path, joined))[0]) == _EXPECTED


@pytest.mark.parametrize("compress", _COMPRESSED)
def test_a_compressed_file_that_breaks_off_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    content = compress(to_csv([["id", "transcript"], *([str(n), f"user: {n}"] for n in range(5_000))]).encode())
    with pytest.raises(SourceError, match="cut off or damaged"):
        read(write(tmp_path, content[:-10]))


@pytest.mark.parametrize(
    "make", [make_zip, _tar, lambda files: gzip.compress(_tar(files)), lambda f: zstd.compress(_tar(f))]
)
def test_an_archive_is_several_files(tmp_path: Path, make: Callable[[dict[str, bytes]], bytes]) -> None:
    files = {
        "a.csv": _TEXT.encode(),
        "sub/b.csv.gz": gzip.compress(b"id,transcript\n3,user: c\n"),
        "sub/empty.csv": b"",
        "__MACOSX/._a.csv": b"junk",
        "a.csv.rejected.csv": b"line,reason\n",
        "logo.png": b"\x89PNG\r\n",
    }
    path = write(tmp_path, make(files), "last night.zip")
    assert _members(path) == {
        "last night.zip/a.csv": _TEXT.encode(),
        "last night.zip/sub/b.csv.gz": b"id,transcript\n3,user: c\n",
    }
    with locate_all(str(path)) as contents:
        assert len(contents.passed_over) == 4


def test_an_archive_of_one_file_is_that_file(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path, gzip.compress(_tar({"a.csv": _TEXT.encode()})), "a.tar.gz"))[0]) == _EXPECTED


def test_what_was_unpacked_is_gone_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, make_zip({"a.csv": _TEXT.encode(), "b.csv": _TEXT.encode()}), "a.zip")
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with locate_all(str(path)):
        assert list(spool.iterdir())
    assert not list(spool.iterdir())
    _refused(write(tmp_path, make_zip({"a.csv": b"x" * 5_000}), "b.zip"), Limits(max_source_bytes=2_000))
    assert not list(spool.iterdir())


def test_no_path_in_an_archive_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    evil = {"../../evil.csv": _TEXT.encode(), "/tmp/evil.csv": _TEXT.encode(), "a\x1b[2Jb.csv": _TEXT.encode()}
    names = list(_members(write(folder, _tar(evil), "a.tar")))
    assert len(names) == 3
    assert all(name.isprintable() for name in names)
    assert not list(tmp_path.rglob("evil*"))


def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "chats"
    (folder / "b").mkdir(parents=True)
    write(folder, _TEXT, "z.csv")
    write(folder / "b", _TEXT, "a.csv")
    write(folder, "x", ".hidden")
    assert list(_members(folder)) == ["chats/b/a.csv", "chats/z.csv"]


def test_a_workbook_is_read_with_its_row_numbers(tmp_path: Path) -> None:
    rows = [
        ["Conversations of November"],
        [],
        ["id", "transcript", "csat"],
        [1001, 'Customer: two\nlines, "quoted"', 4.5],
        [1002.0, "Customer: b"],
        [123456789012345678, "Customer: rounded"],
    ]
    found, (rejected,) = read(write(tmp_path, make_workbook({"Export": rows}), "a.xlsx"))
    assert [(row.line, row.conversation.external_id) for row in found] == [(4, "1001"), (5, "1002")]
    assert found[0].conversation.turns[0].text == ' two\nlines, "quoted"'
    assert rejected.line == 6
    assert "scientific" in rejected.reason


def test_every_filled_and_visible_sheet_is_a_file(tmp_path: Path) -> None:
    sheet = [["id", "transcript"], [1, "Customer: a"]]
    path = write(
        tmp_path, make_workbook({"One": sheet, "Empty": [], "Two": sheet, "Old": sheet}, hidden=["Old"]), "a.xlsx"
    )
    assert list(_members(path)) == ["a.xlsx/One", "a.xlsx/Two"]


def test_a_workbook_inside_an_archive(tmp_path: Path) -> None:
    workbook = make_workbook({"One": [["id", "transcript"], [1, "Customer: a"]]})
    assert texts(read(write(tmp_path, make_zip({"a.xlsx": workbook}), "a.zip"))[0]) == {"1": "user:  a\n"}


@settings(max_examples=20)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1), min_size=2, max_size=2
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_workbook_and_a_csv_of_the_same_cells_are_the_same(said: list[list[str]]) -> None:
    table = [["id", "transcript"], *([f"T{number}", f"user: {a}\nagent: {b}"] for number, (a, b) in enumerate(said))]
    with tempfile.TemporaryDirectory() as folder:
        expected, _ = read(write(Path(folder), to_csv(table)))
        found, rejected = read(write(Path(folder), make_workbook({"One": table}), "a.xlsx"))
    assert not rejected
    assert texts(found) == texts(expected)


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "agent", "content": "b"}]
    table = pyarrow.table({"id": [1, 2], "messages": [turns, turns[:1]], "score": [float("nan"), 1.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert texts(read(tmp_path / "a.parquet")[0]) == {"1": "user: a\nagent: b\n", "2": "user: a\n"}


_XLS = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_XLS, "an old Excel workbook (.xls)"),
        (b"<?xml version='1.0'?>\n<tickets/>", "an XML file"),
        ("<?xml version='1.0'?>\n<tickets/>".encode("utf-16"), "an XML file"),
        (b"<?xml version='1.0'?><?mso-application progid='Excel.Sheet'?><Workbook/>", "an Excel workbook in XML"),
        (b"\xef\xbb\xbf  <html xmlns:x='urn:schemas-microsoft-com:office:excel'><table>", "an HTML page"),
        (b"<!-- saved --><table border=1><tr><td>id</td>", "an HTML page"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (make_zip({"[Content_Types].xml": b"", "word/document.xml": b""}), "a Word document"),
        (make_zip({"mimetype": b"", "content.xml": b""}), "an OpenDocument file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (make_zip({"a.zip": make_zip({"b.csv": b"x"})}), "an archive in an archive"),
        (make_zip({"logo.png": b"\x89PNG"}), "no file in it that can be read"),
        (b"PAR1 and no more", "Parquet"),
        (make_zip({"[Content_Types].xml": b"", "xl/workbook.xml": b"<no"}), "Excel workbook cannot be read"),
        (_tar({"a.csv": b"x" * 2_000})[:1_000], "the archive is cut off or damaged"),
        (b"From: a@x.com\r\nTo: b@x.com\r\nSubject: Hi\r\nDate: today\r\n\r\nHello", "a single e-mail message"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named_with_the_remedy(tmp_path: Path, content: bytes, words: str) -> None:
    message = _refused(write(tmp_path, content, "a.bin"))
    assert words in message
    assert message.startswith("a.bin")
    assert "--delimiter" not in message
    assert any(remedy in message for remedy in ("CSV", "npack", "fetch it again", "mbox"))


def test_an_archive_with_a_password_says_so(tmp_path: Path) -> None:
    content = bytearray(make_zip({"a.csv": _TEXT.encode()}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "has a password; unpack it first" in _refused(write(tmp_path, bytes(content), "a.zip"))
