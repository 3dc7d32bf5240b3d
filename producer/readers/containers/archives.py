"""ZIP and tar archives, file by file, each written to a temporary file under a name of ours.

No library call here believes what an archive says of itself: sizes are counted, headers are bounded.
"""

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

from aftercall.errors import SourceError
from producer.readers.containers.content import Content, copy_bounded
from producer.readers.containers.limits import Budget

#: The list of files in a ZIP is held in memory, and so are long names in a tar.
_MAX_LIST_BYTES = 16 << 20
_MAX_NAME_BYTES = 1 << 16
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

_DOCUMENTS = {
    "word/": "a Word document",
    "ppt/": "a PowerPoint presentation",
    "content.xml": "an OpenDocument file",
    "Index/Document.iwa": "a Numbers or Pages document",
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
}

_UNPRINTABLE = re.compile(r"[^\w .,/()@+#&=-]")


def is_archive(content: Content) -> bool:
    """Whether a ZIP is an archive of files, and not a workbook.

    Raises SourceError if it is another program's document.
    """
    with _opening(content), _open_zip(content) as archive:
        names = archive.namelist()
    for mark, description in _DOCUMENTS.items():
        if any(name.startswith(mark) for name in names) and (
            "[Content_Types].xml" in names or "mimetype" in names or "iwa" in mark
        ):
            raise SourceError(f"{content.name}: this is {description}: save it as CSV (UTF-8) or .xlsx.")
    return "xl/workbook.xml" not in names


def read_zip(content: Content, folder: Path, budget: Budget) -> Iterator[Content]:
    """Every file of a ZIP archive, in the order of its list."""
    with _opening(content), _open_zip(content) as archive:
        for number, member in enumerate(archive.infolist()):
            if member.is_dir():
                continue
            target = folder / str(number)
            with archive.open(member) as stream:
                copy_bounded(cast(io.BufferedIOBase, stream), target, budget)  # type: ignore[arg-type]
            yield _member(content, member.filename, target)


def read_tar(content: Content, folder: Path, budget: Budget) -> Iterator[Content]:
    """Every file of a tar archive, compressed or not, in its order."""
    with (
        _opening(content),
        content.open() as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedTarInfo) as archive,
    ):
        for number, member in enumerate(archive):
            archive.members = []  # type: ignore[attr-defined]  # the module keeps them all
            budget.spend(tarfile.BLOCKSIZE)
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                continue
            target = folder / str(number)
            copy_bounded(cast("io.BufferedReader", file), target, budget)
            yield _member(content, member.name, target)


def _member(archive: Content, name: str, target: Path) -> Content:
    shown = _UNPRINTABLE.sub("�", name.replace("\\", "/"))[:200].strip("/")
    return replace(archive, name=f"{archive.name}/{shown}", path=target, codec="plain", is_spooled=True)


class _BoundedTarInfo(tarfile.TarInfo):
    """A header that may not ask for gigabytes to be read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if header.type in _LONG_HEADERS and header.size > _MAX_NAME_BYTES:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


class _BoundedFile(io.FileIO):
    """A file that gives no more at once than the list of an archive may take."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_LIST_BYTES:
            raise zipfile.BadZipFile(f"its list of files takes {size:,} bytes")
        return super().read(size if size is not None else -1) or b""


@contextmanager
def _open_zip(content: Content) -> Iterator[zipfile.ZipFile]:
    with _BoundedFile(content.path) as file, zipfile.ZipFile(cast("io.BufferedReader", file)) as archive:
        yield archive


@contextmanager
def _opening(content: Content) -> Iterator[None]:
    """Around what reads an archive: what it finds wrong is a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise SourceError(f"{content.name}: the archive is cut off or damaged ({error}); fetch it again.") from None
    except RuntimeError:  # the module's word for what needs a password
        raise SourceError(f"{content.name}: the archive has a password; unpack it first.") from None
    except NotImplementedError as error:
        raise SourceError(f"{content.name}: the archive cannot be unpacked here ({error}); pack it again.") from None
