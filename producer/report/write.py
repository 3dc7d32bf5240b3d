"""The report's file."""

from pathlib import Path

from aftercall.files import writing_whole
from producer.output import check_replaceable
from producer.report.gather import Report
from producer.report.render import HEAD, render


def write_report(report: Report, out: Path) -> None:
    """Write the page to `out`; an older report there is replaced.

    Raises AftercallError if something else is there or the folder is missing.
    """
    if not _is_report(out):
        check_replaceable(out, (HEAD,))
    page = render(report)
    with writing_whole(out) as file:
        file.write(page)


def _is_report(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HEAD)) == HEAD.encode()
