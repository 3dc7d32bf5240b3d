"""How the command speaks: sentences, errors among them, and letters that a terminal does not have.

Knows no command.
"""

import sys

from aftercall.errors import AftercallError


def say(sentence: str, *, style: str = "", to_stderr: bool = False) -> None:
    """A sentence: wrapped at words where a person reads it, in one piece where a program does."""
    # Only here: --help does not wait for it.
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=to_stderr)
    console.print(Text(sentence, style=style), soft_wrap=not console.is_terminal)


def show_error(error: AftercallError) -> None:
    """What went wrong, on stderr."""
    say(f"aftercall: {error}", style="red", to_stderr=True)


def tolerate_letters() -> None:
    """Let what the terminal's encoding lacks come out as `?`. Exports are in UTF-8 whatever the terminal has."""
    for stream in (sys.stdout, sys.stderr):
        # A closed one is None, and what a caller put in its place need not know of encodings.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
