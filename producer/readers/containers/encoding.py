"""One look through all of a source's bytes, before the first row: their digest, and the encoding that fits every one.

Whatever would stop the reading half-way (a cut archive, bytes of another encoding) is found here, with line and byte.
"""

import codecs
import io
import re
from dataclasses import dataclass
from hashlib import sha256

from aftercall.errors import SourceError
from producer.readers.containers.content import Content

#: No record is on a line like this, and reading one would fill the memory.
MAX_LINE_BYTES = 64 << 20

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: How a JSON document begins, in whatever encoding.
_JSON = re.compile(rb"[\xef\xbb\xbf\xfe\xff\x00\s]*[\[{]")
#: Control characters that no text has, and what Windows-1252 does not define.
_NOT_CP1252 = re.compile(rb"[\x00-\x08\x0e-\x1f\x81\x8d\x8f\x90\x9d]")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the look found."""

    encoding: str
    #: SHA-256 of the decompressed bytes, in hexadecimal.
    digest: str


def inspect(content: Content, encoding: str | None = None) -> Inspection:
    """Look through the bytes; `encoding` is the caller's word on it, and then it must fit.

    Raises SourceError if there are no bytes, if they are no text, or if no encoding fits.
    """
    probe: _Probe | None = None
    digest = sha256()
    for chunk in content.chunks():
        if probe is None:
            probe = _Probe(content.name, encoding or _by_bom(chunk), is_told=encoding is not None)
        probe.feed(chunk)
        digest.update(chunk)
    if probe is None:
        raise SourceError(f"{content.name}: the file is empty. Export it again, or check that the export had ended.")
    return Inspection(probe.finish(), digest.hexdigest())


def digest_of(content: Content) -> str:
    """The digest alone, of bytes that are no text of one encoding."""
    digest = sha256()
    for chunk in content.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _by_bom(head: bytes) -> str:
    return next((encoding for bom, encoding in _BOMS.items() if head.startswith(bom)), "utf-8")


class _Probe:
    """Decodes chunk after chunk and keeps the place; gives up UTF-8 for cp1252 where that is what it must be."""

    def __init__(self, name: str, encoding: str, is_told: bool) -> None:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding)  # refuses what is no encoding of text, such as base64
            self._decoder = codecs.getincrementaldecoder(encoding)()
        except (LookupError, UnicodeError):
            raise SourceError(f"no encoding is called {encoding!r}; known are utf-8, utf-16, cp1252 …") from None
        self._name = name
        self._encoding = encoding
        self._may_fall_back = encoding == "utf-8" and not is_told
        self._has_wide_units = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        self._is_json = False
        self._num_bytes = 0
        self._num_lines = 0
        self._line_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Look through the next piece; SourceError if it is no text in any encoding that is left."""
        self._is_json = self._is_json or (self._num_bytes == 0 and _JSON.match(chunk) is not None)
        self._refuse_binary(chunk)
        self._decode(chunk)
        self._num_bytes += len(chunk)
        self._count_lines(chunk)

    def finish(self) -> str:
        """The encoding that fits all that was fed; SourceError if the last character is cut off."""
        self._decode(b"", is_last=True)
        return self._encoding

    def _refuse_binary(self, chunk: bytes) -> None:
        """A NUL in the first line means no text, or text of two bytes a character. Further on it is a row's damage."""
        header = chunk.partition(b"\n")[0] if self._num_lines == 0 else b""
        if not self._has_wide_units and b"\0" in header:
            raise SourceError(
                f"{self._name}: this is no text, byte {self._num_bytes + header.index(0)} is NUL. "
                "If it is UTF-16 without its mark, say --encoding utf-16-le"
            )

    def _decode(self, chunk: bytes, is_last: bool = False) -> None:
        if self._encoding == "cp1252" and self._may_fall_back:
            self._check_cp1252(chunk)
            return
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(chunk, is_last)
        except UnicodeDecodeError as error:
            self._fall_back(error, self._num_bytes - pending)
        except UnicodeError as error:
            raise SourceError(
                f"{self._name}: cannot be read as {self._encoding} ({error}). Leave --encoding out, or say another: "
                "UTF-16 without its mark is utf-16-le or utf-16-be"
            ) from None
        else:
            # Where other characters of several bytes were fine, a bad byte is damage and no cp1252.
            self._may_fall_back = self._may_fall_back and text.isascii()

    def _fall_back(self, error: UnicodeDecodeError, offset: int) -> None:
        is_mixed = not error.object.decode("utf-8", "ignore").isascii()
        if not self._may_fall_back or is_mixed:
            line = self._num_lines + error.object[: error.start].count(b"\n") + 1
            raise SourceError(
                f"{self._name}: byte {offset + error.start}, in line {line}, is no {self._encoding} "
                f"(0x{error.object[error.start]:02x}). Export it again as UTF-8, or say which it is: --encoding cp1252"
            )
        self._encoding = "cp1252"
        self._check_cp1252(error.object)

    def _check_cp1252(self, chunk: bytes) -> None:
        if match := _NOT_CP1252.search(chunk):
            line = self._num_lines + chunk[: match.start()].count(b"\n") + 1
            raise SourceError(
                f"{self._name}: neither UTF-8 nor Windows-1252 text (byte 0x{match[0][0]:02x} in line {line}). "
                "Export it as UTF-8, or say which it is, for example --encoding latin-1"
            )

    def _count_lines(self, chunk: bytes) -> None:
        self._num_lines += chunk.count(b"\n")
        last_break = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._line_bytes = len(chunk) - last_break - 1 if last_break >= 0 else self._line_bytes + len(chunk)
        # A JSON document may be one line, and is not read by lines.
        if self._line_bytes > MAX_LINE_BYTES and not self._is_json:
            raise SourceError(
                f"{self._name}: line {self._num_lines + 1} is longer than {MAX_LINE_BYTES >> 20} MiB. "
                "Expected CSV, or JSON Lines with one object a line."
            )
