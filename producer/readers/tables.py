"""Rows of a table as records: a column is found by its name, whatever its dress, or by a JMESPath expression."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from producer.readers.layouts.names import plain, snake
from producer.readers.layouts.paths import Getter, compile_path
from producer.readers.rows import Table


class TableRow:
    """Makes a mapping of a row's cells, under the columns' names and under the same in snake_case.

    Raises RowError on a row that was cut short before one of the `needed` columns.
    """

    def __init__(self, table: Table, needed: Iterable[str | None] = (), used: Sequence[str] | None = None) -> None:
        if used is None:
            # In this order the first of two columns of one name wins, and a name as it is over another's in snake_case.
            picked = list(reversed(dict.fromkeys(table.names)))
            self._names = [*map(snake, picked), *picked]
        else:
            self._names = picked = list(used)
        self._is_doubled = used is None
        self._pick = table.picker(picked, optional=frozenset(picked) - frozenset(needed))

    def __call__(self, cells: Sequence[str]) -> dict[str, Any]:
        values = self._pick(cells)
        return dict(zip(self._names, [*values, *values] if self._is_doubled else values, strict=True))


class resolver:
    """From a layout's path to what reads it in a row."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names: Mapping[str, str] = {plain(name): name for name in reversed(names)}
        self._exact = frozenset(names)

    def knows(self, path: str) -> bool:
        """Whether the path is the name of a column."""
        return path in self._exact or plain(path) in self._names

    def column(self, path: str) -> str | None:
        """The column that the path names."""
        return path if path in self._exact else self._names.get(plain(path)) if path.isprintable() else None

    def __call__(self, path: str) -> Getter:
        bare = path[1:-1] if path[:1] == path[-1:] == '"' else path
        column = self.column(bare) if not set("[]{}|&(") & set(bare) or bare in self._exact else None
        if column is None:
            return compile_path(path)
        return lambda row, column=column: row.get(column)  # type: ignore[misc]


Resolve = Callable[[str], Getter]
