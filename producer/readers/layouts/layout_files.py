"""Layouts as files: those that ship in producer/layouts, and a user's own. Reads and writes TOML; knows no record."""

import json
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from producer.readers.layouts.layout import Layout, LayoutError, parse_layout

_MAX_BYTES = 1_000_000


@cache
def shipped_layouts() -> tuple[Layout, ...]:
    """Those that come with aftercall, in the order of their files' names."""
    found = [path for path in files("producer").joinpath("layouts").iterdir() if path.name.endswith(".toml")]
    return tuple(
        parse_layout(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
        for path in sorted(found, key=lambda path: path.name.removesuffix(".toml"))
    )


def find_layout(name: str) -> Layout:
    """A shipped layout by its name, or a user's own by its path.

    Raises LayoutError if there is none, or if it cannot be used.
    """
    shipped = {layout.name: layout for layout in shipped_layouts()}
    path = Path(name)
    if name in shipped and not path.exists():
        return shipped[name]
    if path.suffix != ".toml" and not path.exists():
        raise LayoutError(f"no layout is called {name!r}. Known are {', '.join(shipped)}; or name a .toml file.")
    try:
        with path.open("rb") as file:
            data = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise LayoutError(f"the layout {name} cannot be read ({error.strerror}). Check the path.") from None
    except UnicodeDecodeError:
        raise LayoutError(f"the layout {name} is no UTF-8 text. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"the layout {name} is no TOML: {error}. docs/exports.md shows a whole one.") from None
    return parse_layout(data, path.name)


def to_toml(layout: Layout) -> str:
    """A layout as a file that `find_layout` reads, to go on from."""
    lines = [f"{key} = {_quoted(getattr(layout, key))}" for key in ("name", "title", "shape")]
    sections: dict[str, dict[str, Any]] = {
        "recognise": {"keys": layout.keys, "without": layout.without},
        "conversation": {
            key: getattr(layout, key) for key in ("id", "transcript", "prompt", "turns", "customer", "people")
        },
        "turn": {
            **layout.turn,
            "skip": layout.skip,
            "alternate": layout.alternate,
            "is_html": layout.is_html,
            "is_email": layout.is_email,
        },
        "roles": dict(layout.roles),
        "kinds": dict(layout.kinds),
    }
    for name, values in sections.items():
        given = {key: value for key, value in values.items() if value}
        if given:
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_quoted(value)}" for key, value in given.items())]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _quoted(key)


def _quoted(value: Any) -> str:
    """A value in TOML, whose strings and lists are written as in JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False).replace("\x7f", "\\u007f")
