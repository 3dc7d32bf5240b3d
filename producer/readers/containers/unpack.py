"""The files in a source: of an archive, a folder or a workbook, each written out where it can be read again.

One archive deep: an archive inside an archive is refused. Whatever an archive claims, no more is written than the
limits allow, and no path in it is used.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from aftercall.errors import SourceError
from producer.readers.containers import archives, filekinds
from producer.readers.containers.compression import find_codec
from producer.readers.containers.content import Content, new_folder, readable
from producer.readers.containers.conversion import Kind, convert
from producer.readers.containers.limits import Budget

PassedOver = tuple[tuple[str, str], ...]

_LEFTOVER = ".rejected.csv"
_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


def unpack(content: Content, resources: ExitStack, budget: Budget) -> tuple[tuple[Content, ...], PassedOver]:
    """The files that a source consists of, and what in it is passed over.

    Raises SourceError if there is none that can be read.
    """
    if content.path.is_dir():
        files = _walk(content, budget)
        return _read_each(content, files, resources, budget)
    content = _recognise(content)
    head = content.head()
    archive = _members(content, head, resources, budget)
    if archive is not None:
        return _read_each(content, archive, resources, budget)
    return tuple(_read_one(content, head, resources, budget)), ()


def _recognise(content: Content) -> Content:
    """The file with its compression."""
    with content.path.open("rb") as stream:
        return replace(content, codec=find_codec(stream.read(16)))


def _members(content: Content, head: bytes, resources: ExitStack, budget: Budget) -> Iterator[Content] | None:
    """The files of an archive; None if it is none."""
    if filekinds.is_tar(head):
        return archives.read_tar(content, new_folder(resources), budget)
    if filekinds.is_zip(head) and content.codec == "plain" and archives.is_archive(content):
        return archives.read_zip(content, new_folder(resources), budget)
    return None


def _read_one(content: Content, head: bytes, resources: ExitStack, budget: Budget) -> Iterator[Content]:
    """A file that is no archive: as it is, or converted."""
    if filekinds.is_zip(head) or filekinds.is_parquet(head):
        if content.codec != "plain":
            raise SourceError(f"{content.name}: there is a compressed file in a compressed file; decompress it first.")
        kind: Kind = "parquet" if filekinds.is_parquet(head) else "workbook"
        yield from convert(kind, content, new_folder(resources), budget)
        return
    filekinds.refuse_unread(content.name, head)
    yield content


def _read_each(
    content: Content, files: Iterator[Content], resources: ExitStack, budget: Budget
) -> tuple[tuple[Content, ...], PassedOver]:
    members: list[Content] = []
    passed_over: list[tuple[str, str]] = []
    for file in files:
        budget.spend_file()
        if why := _is_aside(file.name):
            passed_over.append((file.name, why))
            continue
        if file.path.stat().st_size == 0:
            passed_over.append((file.name, "it is empty"))
            continue
        file = _recognise(file)
        head = file.head()
        if filekinds.is_tar(head) or (filekinds.is_zip(head) and _is_nested(file)):
            raise SourceError(f"{file.name}: this is an archive in an archive or folder; unpack it first.")
        if filekinds.is_picture(head):
            passed_over.append((file.name, "it is a picture, a recording or a document"))
            continue
        members += _read_one(file, head, resources, budget)
    if not members:
        raise SourceError(
            f"{content.name}: there is no file in it that can be read. Expected CSV, JSON, Excel or text."
        )
    return tuple(members), tuple(passed_over)


def _is_nested(file: Content) -> bool:
    return archives.is_archive(file)


def _is_aside(name: str) -> str:
    """Why a file of this name is passed over; empty if it is not."""
    parts = [part for part in name.casefold().split("/") if part]
    if any(part in _SYSTEM_FILES or (part.startswith(".") and part != "..") for part in parts):
        return "it is hidden"
    return "these are rejected rows of another source" if _LEFTOVER in parts[-1] else ""


def _walk(content: Content, budget: Budget) -> Iterator[Content]:
    """The files of a folder, by their names. Links to folders are not followed."""
    for path in sorted(content.path.rglob("*")):
        if path.is_file():
            budget.spend(path.stat().st_size)
            yield replace(content, name=f"{content.name}/{readable(path.relative_to(content.path))}", path=path)
