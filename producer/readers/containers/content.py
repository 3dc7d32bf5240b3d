"""The bytes of a source, or of each file in it. Knows no encoding and no rows."""

import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import BinaryIO, Self

from aftercall.errors import SourceError
from producer.readers.containers.compression import READS, TESTS, Codec, open_decompressed
from producer.readers.containers.limits import Budget, Limits

CHUNK_BYTES = 1 << 20

#: What a compressed file that is damaged or cut off raises.
DAMAGE = (EOFError, OSError, zlib.error)


@dataclass(frozen=True, slots=True)
class Content:
    """Where the bytes lie. Opened as often as needed; closing it removes what was written for it alone."""

    name: str
    path: Path
    codec: Codec = "plain"
    #: Whether a record is a row of a sheet: rows are numbered then, and no lines.
    is_sheet: bool = False
    #: Whether `path` is a temporary file, of which the user knows nothing.
    is_spooled: bool = False
    max_bytes: int = Limits().max_source_bytes
    resources: ExitStack = field(default_factory=ExitStack, compare=False)

    @property
    def is_gzip(self) -> bool:
        return self.codec == "gzip"

    @property
    def reading_command(self) -> str:
        """The command that writes the bytes to stdout, decompressed."""
        return READS[self.codec]

    def open(self) -> BinaryIO:
        """The bytes, decompressed."""
        return open_decompressed(self.path, self.codec)

    def chunks(self) -> Iterator[bytes]:
        """The bytes, decompressed, in pieces of at most 1 MiB.

        Raises SourceError where the compressed file breaks off, and where there are too many.
        """
        budget = Budget(self.name, Limits(max_source_bytes=self.max_bytes))
        with self.open() as stream:
            while chunk := self._read(stream):
                budget.spend(len(chunk))
                yield chunk

    def close(self) -> None:
        """Remove what was written for it."""
        self.resources.close()

    def head(self) -> bytes:
        """The first bytes, decompressed, by which a kind of file is known."""
        with self.open() as stream:
            return self._read(stream, io.DEFAULT_BUFFER_SIZE)

    def _read(self, stream: BinaryIO, num_bytes: int = CHUNK_BYTES) -> bytes:
        try:
            return stream.read(num_bytes)
        except DAMAGE as error:
            if self.codec == "plain":
                raise
            raise SourceError(
                f"{self.name}: the compressed file is cut off or damaged ({error}); fetch it again "
                f"({TESTS[self.codec]} tests it)."
            ) from None

    def __reduce__(self) -> tuple[type["Content"], tuple[object, ...]]:
        # A copy in another process reads the same file and owns nothing.
        return Content, (self.name, self.path, self.codec, self.is_sheet, self.is_spooled, self.max_bytes)


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of one source: one, or those of an archive, a folder or a workbook, in a fixed order."""

    name: str
    members: tuple[Content, ...]
    #: What was passed over, with the reason: hidden files, pictures, files of rejected rows.
    passed_over: tuple[tuple[str, str], ...] = ()
    resources: ExitStack = field(default_factory=ExitStack, compare=False)

    def __iter__(self) -> Iterator[Content]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was written for it."""
        self.resources.close()


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
    except (UnicodeError, *DAMAGE) as error:
        raise SourceError(
            f"{name}: changed while it was read ({error}). Is its export finished? What was read is kept; submit it "
            "again."
        ) from None


def new_folder(resources: ExitStack) -> Path:
    """A temporary folder that goes with the resources."""
    return Path(resources.enter_context(TemporaryDirectory(prefix="aftercall-")))


def copy_bounded(stream: BinaryIO, target: Path, budget: Budget) -> None:
    """Write a stream to a file, as far as the budget reaches."""
    with target.open("wb") as file:
        while chunk := stream.read(CHUNK_BYTES):
            budget.spend(len(chunk))
            file.write(chunk)
