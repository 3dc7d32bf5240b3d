"""How large the project's files and functions are: `python -m bench.sizes [CHECKOUT]` prints one line a folder and all.

Lines are counted as the file has them, blank lines and comments included. A function's lines go from its `def` to its
end, docstring included; decorators, such as a command's options, are not counted.
"""

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

FOLDERS = ("aftercall", "producer", "worker", "training")


@dataclass(frozen=True, slots=True)
class Sized:
    """A file or a function and its number of lines."""

    name: str
    num_lines: int


def main() -> None:
    """Print the sizes of each folder and of all together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(), help="folder of the source; the current one")
    checkout = parser.parse_args().checkout
    print(f"{'folder':<10} {'files':>5} {'median':>6} {'longest':<44} {'functions':>9} {'median / p90':>12} longest")
    for folders in (*((folder,) for folder in FOLDERS), FOLDERS):
        paths = sorted(path for folder in folders for path in (checkout / folder).rglob("*.py"))
        print(describe("all" if folders == FOLDERS else folders[0], checkout, paths))


def describe(name: str, checkout: Path, paths: list[Path]) -> str:
    """One line of the table. Files without code (an `__init__.py` with a docstring alone) are left out."""
    files = [Sized(str(path.relative_to(checkout)), len(path.read_text().splitlines())) for path in paths]
    files = [file for file in files if file.num_lines > 1]
    functions = [function for path in paths for function in functions_of(path)]
    longest_file, longest = max(files, key=size), max(functions, key=size)
    p90 = quantiles(map(size, functions), n=10)[-1]
    return (
        f"{name:<10} {len(files):>5} {median(map(size, files)):>6g} {longest_file.num_lines:>4} "
        f"{longest_file.name:<39} {len(functions):>9} {median(map(size, functions)):>5g} / {p90:<4g} "
        f"{longest.num_lines} {longest.name}"
    )


def functions_of(path: Path) -> Iterator[Sized]:
    """Every function and method of a file, nested ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Sized(f"{path.name}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)


def size(sized: Sized) -> int:
    """Its number of lines."""
    return sized.num_lines


if __name__ == "__main__":
    main()
