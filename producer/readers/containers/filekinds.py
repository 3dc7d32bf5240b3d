"""What a file is by its first bytes, and what to do about those that are not read. Knows no rows."""

import codecs
import re

from aftercall.errors import SourceError

_AS_CSV = "open it in Excel or LibreOffice and save it as CSV (UTF-8) or .xlsx"

_REFUSED = {
    b"\xd0\xcf\x11\xe0": f"an old Excel workbook (.xls) or one with a password: {_AS_CSV}, without a password",
    b"%PDF": "a PDF document: export the conversations as CSV",
    b"SQLite format 3": "an SQLite database: export its table as CSV",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it, or pack the files as ZIP",
    b"Rar!": "a RAR archive: unpack it, or pack the files as ZIP",
    b"{\\rtf": "an RTF document: export the conversations as CSV",
    b"\x89PNG": "a picture: export the conversations as CSV",
    b"\xff\xd8\xff": "a picture: export the conversations as CSV",
    b"GIF8": "a picture: export the conversations as CSV",
}

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MARKUP = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(\?xml|!doctype|[a-z_][\w:.-]*)(?=[\s>/?])([^>]*)", re.IGNORECASE | re.DOTALL
)
_HTML = frozenset(["html", "head", "body", "table", "meta", "style", "title", "div", "!doctype"])
_MAIL = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*){3,}")
_MAIL_HEADERS = (b"from:", b"subject:", b"date:")

#: Where `ustar` stands in the header of a tar archive.
_TAR_MAGIC = slice(257, 262)


def is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC] == b"ustar"


def is_parquet(head: bytes) -> bool:
    return head.startswith(b"PAR1")


def is_picture(head: bytes) -> bool:
    """Whether a file in an archive of a chat is one that it only shows."""
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"OggS", b"ID3", b"%PDF")) or (
        head[4:8] == b"ftyp"
    )


def refuse_unread(name: str, head: bytes) -> None:
    """Raise SourceError for a file of a kind that is known and not read."""
    for magic, description in _REFUSED.items():
        if head.startswith(magic):
            raise SourceError(f"{name}: this is {description}.")
    if markup := _MARKUP.match(_start_of_text(head)):
        raise SourceError(f"{name}: this is {_describe_markup(markup)}.")
    if head.startswith(b"From ") or not _MAIL.match(head):
        return
    if all(header in head.lower() for header in _MAIL_HEADERS):
        raise SourceError(
            f"{name}: this is a single e-mail message (.eml): export the mailbox as mbox, or put the messages into "
            "one table."
        )


def _start_of_text(head: bytes) -> str:
    encoding, bom = next(((encoding, bom) for bom, encoding in _BOMS.items() if head.startswith(bom)), ("utf-8", b""))
    return head[len(bom) :].decode(encoding, "ignore")[:2_000]


def _describe_markup(markup: re.Match[str]) -> str:
    text = markup.string
    if markup[1].casefold() in _HTML or re.search(r"<(?:html|table)\b", text, re.IGNORECASE):
        return f"an HTML page, which some tools save under the ending .xls: {_AS_CSV}"
    if "Excel.Sheet" in text or "urn:schemas-microsoft-com:office:spreadsheet" in text:
        return f"an Excel workbook in XML: {_AS_CSV}"
    return "an XML file: export as CSV, JSON or JSON Lines instead, or convert it to one of them"
