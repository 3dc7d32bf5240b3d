"""Records that may be an export's: the first of them at each place of a file, by which a layout is recognised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from producer.readers.joined import within
from producer.readers.jsonlines import is_json, parse_object
from producer.readers.layouts.documents import JsonDocument, Place
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.paths import compile_path
from producer.readers.rows import Record, RowError, Table
from producer.readers.tables import TableRow, resolver

_NUM_SAMPLES = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """Records at one place, and the first of them."""

    table: Table
    samples: Sequence[Mapping[str, Any]]
    place: Place | None = None

    @property
    def is_json(self) -> bool:
        return is_json(self.table)

    def fits(self, layout: Layout) -> bool:
        """Whether most of the records have what the layout is recognised by."""
        if not layout.keys or not self.samples:
            return False
        if not self.is_json:
            has = resolver(self.table.names)
            return all(has.knows(key) for key in layout.keys) and not any(has.knows(key) for key in layout.without)
        keys, without = [compile_path(key) for key in layout.keys], [compile_path(key) for key in layout.without]
        num = sum(
            all(get(item) is not None for get in keys) and all(get(item) is None for get in without)
            for item in self.samples
        )
        return num * 2 > len(self.samples) or (num > 0 and layout.shape == "turns" and num * 4 > len(self.samples))

    def with_siblings(self, candidates: Sequence["Candidate"], layout: Layout | None) -> "Candidate":
        """The same with the lists beside it, of records of the same kind: `train`, `dev` and `test`."""
        if self.place is None or not isinstance(self.table, JsonDocument) or self.place.is_keyed:
            return self
        places = [
            other.place
            for other in candidates
            if other.place is not None
            and not other.place.is_keyed
            and other.place.parent == self.place.parent
            and other.place.prefix.endswith("item") == self.place.prefix.endswith("item")
            and (other is self or (layout.keys and other.fits(layout) if layout else other.keys == self.keys))
        ]
        return replace(self, table=self.table.at(places))

    @property
    def is_wrapped(self) -> bool:
        """Whether this is a bare list, taken for the turns of one conversation."""
        return self.keys == {"turns"}

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.samples[0]) if self.samples else frozenset()


def find_candidates(table: Table) -> Iterator[Candidate]:
    """The records of a table, or those of each place in a document, the outermost first."""
    if isinstance(table, JsonDocument):
        for place in table.places:
            yield Candidate(table.at([place]), place.samples, place)
    else:
        yield Candidate(table, list(islice(sample_records(table), _NUM_SAMPLES)))


def sample_records(table: Table) -> Iterator[Mapping[str, Any]]:
    """The first records: a bounded number of them, with a bounded number of characters."""
    records = (record for record in within(table.records()) if isinstance(record, Record))
    if is_json(table):
        yield from _objects(records)
    else:
        yield from map(TableRow(table), (record.cells for record in records))


def _objects(records: Iterator[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            yield parse_object(record.cells[0])
        except RowError:
            continue


def shown_keys(candidates: Sequence[Candidate]) -> str:
    """The names that the fullest of them has, for a message."""
    found = max((candidate.table.names for candidate in candidates), key=len, default=())
    return ", ".join(repr(name[:40]) for name in found[:20])
