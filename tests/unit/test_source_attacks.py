"""Files made to cost as much as they can: time, memory and disk stay in proportion. Counted, never timed."""

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from backports import zstd

from aftercall.errors import SourceError
from producer.batches import MAX_BATCH_CHARS, prepare
from producer.readers.containers.limits import Limits
from producer.readers.containers.locate import locate_all
from producer.readers.rows import Rejected
from producer.readers.tabular.delimited import MAX_AGAIN_RATIO, MIN_AGAIN_CHARS, Lines, read_records
from producer.readers.threads import MAX_OPENING_TWEETS, Tweet, split_tree
from producer.rejected import RejectedFile
from producer.source import SourceOptions, open_source
from tests.unit.sources import make_zip, read, to_csv, write
from tests.unit.workbooks import make_sheet, make_workbook

_ROW_CHARS = 2_000_000


@pytest.mark.parametrize("line", ['x","\n', '"\n', '"x"y\n', '1,"a\\"\n', '"a\n"b'])
@pytest.mark.parametrize("num_lines", [8_000, 100_000])
def test_lines_of_broken_quotes_are_read_again_in_proportion(line: str, num_lines: int) -> None:
    text = line * num_lines
    lines = Lines(io.StringIO(text, newline=""))
    records = list(read_records(lines, ","))
    # The last time that is allowed may take it over the bound.
    assert lines.num_chars_again <= MIN_AGAIN_CHARS + (MAX_AGAIN_RATIO + 2) * len(text)
    assert sum(isinstance(record, Rejected) for record in records) <= text.count("\n") + 1


def test_two_quotes_that_are_never_closed_cost_two_rows_of_a_large_file(tmp_path: Path) -> None:
    rows = [["id", "transcript"], *([str(number), f"user: said {number} {'a' * 300}"] for number in range(4_000))]
    text = to_csv(rows).replace("\r\n2,", '\r\n2,"').replace("\r\n5,", '\r\n5,"')
    found, rejected = read(write(tmp_path, text))
    assert len(rejected) == 2
    assert len(found) == 3_998


def _huge(num_rows: int, shape: str) -> Iterator[str]:
    extra = "x" * _ROW_CHARS
    yield "id,transcript,extra\n" if shape == "conversations" else "id,role,text,extra\n"
    for number in range(num_rows):
        yield f"{number},user: hi {number},{extra}\n" if shape == "conversations" else f"1,user,hi {number},{extra}\n"
    for number in range(num_rows):
        yield f",user: no id {number},{extra}\n" if shape == "conversations" else f",user,no id {number},{extra}\n"


def _write_huge(folder: Path, num_rows: int, shape: str) -> Path:
    path = folder / f"{shape}.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.writelines(_huge(num_rows, shape))
    return path


def test_a_batch_of_long_rows_is_short(tmp_path: Path) -> None:
    with open_source(str(_write_huge(tmp_path, 10, "conversations"))) as source:
        held = [sum(len(cell) for row in batch for cell in row.row) for batch in prepare(source)]
    assert sum(held) > 20 * _ROW_CHARS
    assert max(held) < MAX_BATCH_CHARS + 2 * _ROW_CHARS


def test_long_rows_make_no_long_file_of_rejected_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.rejected.csv"
    row = ("1", "x" * _ROW_CHARS, "user: hi")
    with RejectedFile(path, ["id", "extra", "transcript"], 10_000) as file:
        for line in range(20):
            file.write(Rejected(line, "no id.", row))
        file.write(Rejected(20, "no id.", ("2", "x" * 9_000)))
    text = path.read_text()
    assert path.stat().st_size < 21 * 10_500
    assert text.count("The row has 2,000,009 characters and is cut off here: correct it in the source.") == 20
    assert f"20,no id.,2,{'x' * 9_000}" in text


_READ_WITHIN = """
import resource, sys
from producer.source import open_source
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with open_source(sys.argv[1]) as source:
    print(sum(1 for _ in source))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux bounds a process' memory so")
@pytest.mark.parametrize(("shape", "num_outcomes"), [("conversations", 100), ("turns", 51)])
def test_long_rows_are_read_in_bounded_memory(tmp_path: Path, shape: str, num_outcomes: int) -> None:
    path = _write_huge(tmp_path, 50, shape)
    command = [sys.executable, "-c", _READ_WITHIN, str(path), str(100_000_000)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    assert answer.stdout.strip() == str(num_outcomes)


class _Endless(io.RawIOBase):
    """Zeros that never end; counts those taken."""

    num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        buffer[:] = bytes(len(buffer))
        self.num_bytes += len(buffer)
        return len(buffer)


def test_an_endless_stdin_is_stopped_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = _Endless()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(endless)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SourceError, match=r"stdin: there are more than 5,000,000 bytes.*AFTERCALL_MAX_SOURCE_BYTES"):
        open_source("-", SourceOptions(limits=Limits(max_source_bytes=5_000_000)))
    assert endless.num_bytes < 8_000_000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_a_compressed_file_that_swells_is_stopped_at_the_limit(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path, compress(b"id,transcript\n" + b"1,user: a\n" * 600_000))
    with pytest.raises(SourceError, match="AFTERCALL_MAX_SOURCE_BYTES"):
        open_source(str(path), SourceOptions(limits=Limits(max_source_bytes=5_000_000)))


def _refused(path: Path, **limits: int) -> str:
    with pytest.raises(SourceError) as caught:
        locate_all(str(path), Limits(**limits))
    return str(caught.value)


def test_an_archive_that_swells_is_stopped_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, make_zip({f"{n}.csv": bytes(2_000_000) for n in range(5)}), "a.zip")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "AFTERCALL_MAX_SOURCE_BYTES" in _refused(path, max_source_bytes=5_000_000)
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, make_zip({f"{n}.csv": b"x" for n in range(20)}), "a.zip")
    assert "AFTERCALL_MAX_SOURCE_FILES" in _refused(path, max_source_files=10)


def test_a_tar_header_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    assert "a header of 4,294,967,296 bytes" in _refused(write(tmp_path, header.tobuf() + bytes(10_240), "a.tar"))


def test_a_zip_whose_list_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(200 << 20)  # a hole: it takes no disk
        file.seek(0, 2)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 200 << 20, 0, 0))
    assert "damaged" in _refused(path)


def test_a_workbook_that_fills_the_memory_costs_a_sentence(tmp_path: Path) -> None:
    corner = make_sheet([]).replace("<sheetData>", '<sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')  # fmt: skip
    workbook = io.BytesIO(make_workbook({"One": []}))
    with zipfile.ZipFile(workbook) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = corner.encode()
    path = write(tmp_path, make_zip(parts), "a.xlsx")
    # In a process of its own, whose only child is the converter.
    script = (
        "import resource, sys\n"
        "from aftercall.errors import SourceError\n"
        "from producer.readers.containers.limits import Limits\n"
        "from producer.readers.containers.locate import locate_all\n"
        "try:\n    locate_all(sys.argv[1], Limits(max_convert_bytes=1_000_000_000))\n"
        "except SourceError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    read = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    message, _, peak_kib = read.stdout.strip().rpartition("\n")
    assert "AFTERCALL_MAX_CONVERT_BYTES" in message
    assert int(peak_kib) < 1_100_000


def test_what_a_workbook_is_converted_to_is_bounded(tmp_path: Path) -> None:
    rows = [["id", "transcript"], *([n, "x" * 30_000] for n in range(500))]
    message = _refused(write(tmp_path, make_workbook({"One": rows}), "a.xlsx"), max_source_bytes=5_000_000)
    assert "AFTERCALL_MAX_SOURCE_BYTES" in message


def test_a_tree_of_announcements_opens_each_conversation_with_the_nearest(tmp_path: Path) -> None:
    num_brand = 3_000
    tree = [Tweet(1, "b0", None, "shop", "agent", 0.0, "news")]
    for n in range(1, num_brand):
        tree.append(Tweet(2 * n, f"b{n}", f"b{n - 1}", "shop", "agent", float(n), "news"))
        tree.append(Tweet(2 * n + 1, f"c{n}", f"b{n}", f"ann{n}", "user", n + 0.1, "help"))
        tree.append(Tweet(100_000 + n, f"a{n}", f"c{n}", "shop", "agent", n + 0.2, "sure"))
    threads = split_tree(tree)
    assert sum(len(thread.tweets) for thread in threads) <= (MAX_OPENING_TWEETS + 2) * num_brand + num_brand
    last = next(thread for thread in threads if any(tweet.id == f"c{num_brand - 1}" for tweet in thread.tweets))
    opening = [tweet.id for tweet in last.tweets][:MAX_OPENING_TWEETS]
    assert opening == [f"b{n}" for n in range(num_brand - MAX_OPENING_TWEETS, num_brand)]
    assert {tweet.id for thread in threads for tweet in thread.tweets} == {tweet.id for tweet in tree}
