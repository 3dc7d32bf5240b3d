"""Output to terminals and logs: sentences and errors, and characters that a terminal lacks or should not get."""

import sys

from aftercall.errors import AftercallError
from aftercall.masking import printable


def say(sentence: str, *, style: str = "", to_stderr: bool = False) -> None:
    """Print a sentence: wrapped at words on a terminal, in one piece otherwise. Control characters are escaped."""
    # Imported here, so that --help does not wait for it.
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=to_stderr)
    # Line breaks are ours; names of files and the words of a source arrive without.
    lines = "\n".join(map(printable, sentence.split("\n")))
    console.print(Text(lines, style=style), soft_wrap=not console.is_terminal)


def show_error(error: AftercallError) -> None:
    """Print what went wrong to stderr."""
    say(f"aftercall: {error}", style="red", to_stderr=True)


def tolerate_letters() -> None:
    """Print `?` for characters that the terminal's encoding lacks. Exports are in UTF-8 whatever the encoding is."""
    for stream in (sys.stdout, sys.stderr):
        # A closed stream is None, and a caller's replacement may have no encoding.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
