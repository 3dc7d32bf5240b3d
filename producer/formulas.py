"""Keeps spreadsheet programs from taking a cell for a formula, and takes that back from a file that came back."""

import re

#: Where a spreadsheet program may begin a cell: at the start, and, if it takes another separator than the comma, behind
#: each of those and behind a line break. Then what it takes for a formula, also in full width, after any apostrophes.
_STARTS = r"(?P<before>(?:^|[;|\t\r\n])[ \"]*)(?P<apostrophes>'*)"
_SIGNED_NUMBER = r"[+-]\d[\d.,]*(?![^;|\t\r\n])"
_FORMULA = re.compile(rf"{_STARTS}(?!{_SIGNED_NUMBER})(?=[=+\-@＝＋－＠])")
_GUARDED = re.compile(rf"{_STARTS}(?<=')(?=[=+\-@＝＋－＠])")
#: Programs drop these at the start of a cell, or act on them.
_LEADING_BREAK = re.compile(r"'*[\t\r\n]")


def guard(cell: object) -> object:
    """The cell with an apostrophe before each formula in it, which makes it text. A signed number is none."""
    if not isinstance(cell, str):
        return cell
    guarded = _FORMULA.sub(r"\g<before>'\g<apostrophes>", cell)
    return f"'{guarded}" if _LEADING_BREAK.match(cell) else guarded


def unguard(cell: str) -> str:
    """The cell as it was before `guard`."""
    if _LEADING_BREAK.match(cell.removeprefix("'")) and cell.startswith("'"):
        cell = cell[1:]
    return _GUARDED.sub(lambda match: f"{match['before']}{match['apostrophes'][1:]}", cell)
