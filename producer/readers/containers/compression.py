"""Compressed files: gzip, bzip2, xz and zstd, known by their first bytes. Memory stays bounded whatever they say.

What is damaged or cut off raises EOFError, OSError or zlib.error while it is read.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

from aftercall.errors import SourceError

Codec = Literal["plain", "gzip", "bzip2", "xz", "zstd"]

MAGIC: dict[bytes, Codec] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}

#: The command that tests a file of this kind.
TESTS = {"gzip": "gzip -t", "bzip2": "bzip2 -t", "xz": "xz -t", "zstd": "zstd -t"}
#: The command that writes a file of this kind to stdout, decompressed.
READS = {"plain": "cat", "gzip": "gzip -dc", "bzip2": "bzip2 -dc", "xz": "xz -dc", "zstd": "zstd -dc"}

_INPUT_BYTES = 1 << 16
#: `xz -9` needs 65 MiB and `zstd --ultra -22` 128 MiB; a hostile header may ask for 4 GiB.
_MAX_XZ_MEMORY = 256 << 20
_MAX_ZSTD_WINDOW_LOG = 27


def find_codec(head: bytes) -> Codec:
    """How a file with these first bytes is compressed."""
    return next((codec for magic, codec in MAGIC.items() if head.startswith(magic)), "plain")


def open_decompressed(path: Path, codec: Codec) -> BinaryIO:
    """The bytes of a file, decompressed."""
    if codec == "gzip":
        return cast(BinaryIO, gzip.open(path))
    if codec == "bzip2":
        return cast(BinaryIO, bz2.open(path))
    if codec == "plain":
        return path.open("rb")
    make = _make_xz if codec == "xz" else _make_zstd()
    return io.BufferedReader(_Decompressed(path, make), 1 << 20)


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _make_xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY)


def _make_zstd() -> Callable[[], _Decompressor]:
    try:
        from backports import zstd
    except ImportError:
        raise SourceError(
            "files compressed with zstd need one package more: pip install 'aftercall[exports]'"
        ) from None
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options)


class _Decompressed(io.RawIOBase):
    """One compressed stream after another, as `cat` makes them, decompressed with bounded memory."""

    def __init__(self, path: Path, make: Callable[[], _Decompressor]) -> None:
        self._file = path.open("rb")
        self._make = make
        self._decompressor = make()
        self._is_begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        chunk = self._read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read(self, max_bytes: int) -> bytes:
        while True:
            rest = b""
            if self._decompressor.eof:
                rest = self._decompressor.unused_data
                self._decompressor, self._is_begun = self._make(), False
            if not rest and self._decompressor.needs_input:
                rest = self._file.read(_INPUT_BYTES)
                if not rest:
                    if self._is_begun:
                        raise EOFError("the compressed file ended before its end-of-stream marker was reached")
                    return b""
            self._is_begun = True
            try:
                chunk = self._decompressor.decompress(rest, max_bytes)
            except Exception as error:  # each library has its own class for damage, and it isn't always an OSError
                raise OSError(str(error)) from None
            if chunk:
                return chunk
