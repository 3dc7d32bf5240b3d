"""The bytes of a source: a file, a compressed file, or stdin. Knows no encoding and no rows.

What cannot be read twice (stdin, a pipe) is first written to a temporary file, which goes with the `Content`.
"""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import BinaryIO

from aftercall.errors import SourceError

CHUNK_BYTES = 1 << 20

_GZIP = b"\x1f\x8b"
_BINARY = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive: open it and export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: open it and export it as CSV",
    b"PAR1": "a Parquet file: convert it to CSV or JSON Lines",
    b"%PDF": "a PDF document: export the conversations as CSV",
    b"SQLite format 3": "an SQLite database: export its table as CSV",
    b"BZh": "compressed with bzip2: decompress it and pipe it in, as in bzcat FILE | aftercall submit -",
    b"\xfd7zXZ": "compressed with xz: decompress it and pipe it in, as in xzcat FILE | aftercall submit -",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: decompress it and pipe it in, as in zstdcat FILE | aftercall submit -",
}


@dataclass(frozen=True, slots=True)
class Content:
    """Where the bytes lie. Opened as often as needed; closing it removes what was written for it."""

    name: str
    path: Path
    is_gzip: bool
    resources: ExitStack = field(default_factory=ExitStack, compare=False)

    def open(self) -> BufferedReader | gzip.GzipFile:
        """The bytes, decompressed."""
        return gzip.open(self.path) if self.is_gzip else self.path.open("rb")

    def chunks(self) -> Iterator[bytes]:
        """The bytes, decompressed, in pieces of at most 1 MiB.

        Raises SourceError where the compressed file breaks off.
        """
        with self.open() as stream:
            try:
                while chunk := stream.read(CHUNK_BYTES):
                    yield chunk
            except (EOFError, gzip.BadGzipFile, zlib.error):
                raise SourceError(
                    f"{self.name}: the compressed file is cut off or damaged; fetch it again (gzip -t tests it)."
                ) from None

    def close(self) -> None:
        """Remove what was written for it."""
        self.resources.close()

    def __reduce__(self) -> tuple[type["Content"], tuple[str, Path, bool]]:
        # A copy in another process reads the same file and owns nothing.
        return Content, (self.name, self.path, self.is_gzip)


def locate(path: str) -> Content:
    """Find the bytes of a source; `-` is stdin.

    Raises SourceError if there are none, or if they are those of a known binary format.
    """
    with ExitStack() as resources:
        try:
            name, file = _find(path, resources)
            with file.open("rb") as stream:
                head = stream.read(16)
        except OSError as error:
            raise SourceError(f"{readable(path)}: cannot be read ({error.strerror}).") from None
        for magic, description in _BINARY.items():
            if head.startswith(magic):
                raise SourceError(f"{name}: this is {description}.")
        return Content(name, file, head.startswith(_GZIP), resources.pop_all())


def readable(path: str | Path) -> str:
    """A path as it can be shown and stored: what is no UTF-8 in it is replaced."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def staying_as_it_was(name: str) -> Iterator[None]:
    """Around what reads a source's bytes after they were looked through.

    Raises SourceError if they are others by now, or gone.
    """
    try:
        yield
    except (UnicodeError, EOFError, zlib.error, OSError) as error:
        raise SourceError(
            f"{name}: changed while it was read ({error}). Is its export finished? What was read is kept; submit it "
            "again."
        ) from None


def _find(path: str, resources: ExitStack) -> tuple[str, Path]:
    if path == "-":
        return "stdin", _spool(sys.stdin.buffer, resources)
    file = Path(path)
    if file.is_dir():
        folder = readable(path)
        raise SourceError(f"{folder}: this is a folder; name the files in it, for example {folder.rstrip('/')}/*.csv")
    if not file.exists():
        raise SourceError(f"{readable(path)}: no such file. Check the name; a source is a path, or - for stdin.")
    if not file.is_file():
        with file.open("rb") as pipe:
            return readable(file.name), _spool(pipe, resources)
    return readable(file.name), file


def _spool(stream: BinaryIO, resources: ExitStack) -> Path:
    """Write what can be read once only to a temporary file."""
    file = Path(resources.enter_context(TemporaryDirectory(prefix="aftercall-"))) / "source"
    with file.open("wb") as spool:
        copyfileobj(stream, spool, CHUNK_BYTES)
    return file
