"""Which layout reads a source: the one that was told, a shipped one that fits, or one made for what is found.

Looks at the first records only. Says in a sentence why it chose; refuses rather than guesses.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import Any

from aftercall.errors import SourceError
from producer.readers.jsonlines import JsonLines, is_json, parse_object
from producer.readers.layouts import columns, names
from producer.readers.layouts.discovery import discover_turn
from producer.readers.layouts.documents import KEY, JsonDocument, Place
from producer.readers.layouts.items import parse_list
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.layout_files import find_layout, shipped_layouts
from producer.readers.layouts.lists import discover_conversation, discover_turn_record
from producer.readers.layouts.paths import Getter, compile_path, quote_name
from producer.readers.layouts.values import is_missing
from producer.readers.rows import Record, RowError, Table
from producer.readers.tables import TableRow, resolver

_NUM_SAMPLES = 50
#: With fewer rows, ids that are all different say nothing.
_MIN_ROWS = 5
#: Records whose times are looked at.
_NUM_TIMES = 2_000

#: Mapped fields that say how a record is to be read, so that no shipped layout is asked.
_TELLING = frozenset(("transcript", "speaker", "inbound", "outbound", "text", "reply_to"))
_WHO = frozenset(("speaker", "inbound", "outbound"))


@dataclass(frozen=True, slots=True)
class Recognised:
    """A layout, why it was chosen, and the table narrowed to what it reads."""

    layout: Layout
    why: str
    table: Table


def choose(table: Table, mapping: Mapping[str, str], layout_name: str | None) -> Recognised:
    """The layout for a table.

    Raises SourceError if none reads it.
    """
    if not (layout_name or mapping):
        columns.refuse_summaries(table.names)
    candidates = list(_candidates(table))
    if layout_name:
        return _told(find_layout(layout_name), candidates, mapping)
    if not _TELLING & mapping.keys():
        for layout in shipped_layouts():
            for candidate in candidates:
                if candidate.fits(layout):
                    found = candidate.with_siblings(candidates, layout)
                    fitting = _override(_without_absent_id(layout, candidate), mapping)
                    return Recognised(fitting, f"it has {_keys(layout)}", found.table)
    return _discover(candidates, mapping)


def sample_times(found: Recognised) -> Iterator[str]:
    """Times of the first records, as they are written."""
    if "time" not in found.layout.turn:
        return
    layout = found.layout
    inside = layout.turns or layout.transcript
    table = found.table
    get = compile_path if is_json(table) else resolver(table.names)
    outer = get(inside) if inside else None
    time = compile_path(layout.turn["time"]) if inside else get(layout.turn["time"])
    for item in islice(_items(table), _NUM_TIMES):
        entries = outer(item) if outer else [item]
        if isinstance(entries, str):
            entries = parse_list(entries)
        for entry in entries if isinstance(entries, list) else ():
            if not is_missing(value := time(entry)):
                yield str(value)


def _items(table: Table) -> Iterator[Mapping[str, Any]]:
    if is_json(table):
        yield from _objects(table)
    else:
        row = TableRow(table)
        yield from (row(record.cells) for record in table.records() if isinstance(record, Record))


@dataclass(frozen=True, slots=True)
class _Candidate:
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

    def with_siblings(self, candidates: Sequence["_Candidate"], layout: Layout | None) -> "_Candidate":
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


def _candidates(table: Table) -> Iterator[_Candidate]:
    if isinstance(table, JsonDocument):
        for place in table.places:
            yield _Candidate(table.at([place]), place.samples, place)
    elif isinstance(table, JsonLines):
        yield _Candidate(table, list(islice(_objects(table), _NUM_SAMPLES)))
    else:
        yield _Candidate(table, list(islice(_items(table), _NUM_SAMPLES)))


def _objects(table: Table) -> Iterator[dict[str, Any]]:
    for record in islice(table.records(), _NUM_TIMES):
        if isinstance(record, Record):
            try:
                yield parse_object(record.cells[0])
            except RowError:
                continue


def _told(layout: Layout, candidates: Sequence[_Candidate], mapping: Mapping[str, str]) -> Recognised:
    """The layout that the caller named, where its paths lead somewhere."""
    layout = _override(layout, mapping)
    wanted = [path for path in (layout.transcript, layout.turns, layout.turn.get("text"), layout.id) if path]
    outer = [path for path in wanted if path != layout.turn.get("text")] if layout.shape == "conversations" else wanted
    for candidate in candidates:
        get = resolver(candidate.table.names) if not candidate.is_json else compile_path
        getters = [get(path) for path in outer]
        if any(all(not is_missing(getter(item)) for getter in getters) for item in candidate.samples):
            found = candidate.with_siblings(candidates, layout) if layout.keys else candidate
            return Recognised(layout, "it was told", found.table)
    raise SourceError(
        f"the layout {layout.name} does not fit: no record has {', '.join(map(repr, outer))}. "
        f"The first one has {_shown_keys(candidates[:2])}."
    )


def _discover(candidates: Sequence[_Candidate], mapping: Mapping[str, str]) -> Recognised:
    """A layout made for what stands in the records."""
    refusals: list[tuple[bool, bool, int, SourceError]] = []
    for candidate in candidates:
        try:
            layout = _discover_in(candidate, mapping)
        except SourceError as error:
            # What says most: what is wrong with turns that were found, or else about the records with the most keys.
            is_vague = isinstance(error, columns.UnrecognisedError)
            refusals.append((is_vague, candidate.is_wrapped, -len(candidate.table.names), error))
            continue
        why = "by --map" if mapping else "by the names of its columns" if not candidate.is_json else "by its keys"
        return Recognised(layout, why, candidate.with_siblings(candidates, None).table)
    if refusals:
        raise min(refusals, key=itemgetter(0, 1, 2))[3]
    raise SourceError("no record could be read. Expected a support export.")


def _discover_in(candidate: _Candidate, mapping: Mapping[str, str]) -> Layout:
    if candidate.is_json:
        _check_paths(candidate, mapping)
        layout = discover_turn_record(candidate.samples, mapping) or discover_conversation(candidate.samples, mapping)
        if layout is not None:
            return layout
    flat = {field: path for field, path in mapping.items() if not candidate.is_json or path in candidate.table.names}
    if not mapping and (layout := _question_and_answer(candidate)):
        return layout
    shape, found = columns.recognise(candidate.table.names, flat)
    if KEY in candidate.keys:
        found = {"id": KEY, **found}
    quoted = {field: quote_name(column) if candidate.is_json else column for field, column in found.items()}
    turn = {field: path for field, path in quoted.items() if field not in ("id", "transcript")}
    layout = Layout(
        shape, f"one {shape[:-1]} a record", shape,
        id=quoted.get("id"), transcript=quoted.get("transcript"), turn=turn,
    )  # fmt: skip
    if shape == "turns":
        return _refine(layout, candidate, mapping)
    if shape == "conversations":
        return replace(layout, turn=_embedded_turns(layout, candidate))
    return layout


def _question_and_answer(candidate: _Candidate) -> Layout | None:
    found = candidate.table.names
    if columns.is_known(found, {}) and columns.recognise(found, {})[0] != "conversations":
        return None
    return columns.question_and_answer(found)


def _refine(layout: Layout, candidate: _Candidate, mapping: Mapping[str, str]) -> Layout:
    """With what the values tell beyond the names: which of several columns holds the role, what a kind is."""
    rows = [{key: value for key, value in item.items() if key in candidate.table.names} for item in candidate.samples]
    found = {field: path.strip('"') if not candidate.is_json else path for field, path in discover_turn(rows).items()}
    turn = dict(layout.turn)
    if not _WHO & mapping.keys():
        who = {field: path for field, path in found.items() if field in _WHO}
        if who:
            turn = {field: path for field, path in turn.items() if field not in _WHO} | who
    turn |= {field: found[field] for field in ("kind",) if field in found and field not in mapping}
    _refuse_message_ids(layout, candidate, mapping)
    return replace(layout, turn=turn)


def _refuse_message_ids(layout: Layout, candidate: _Candidate, mapping: Mapping[str, str]) -> None:
    """A column of which no value comes twice numbers the messages, and does not say what belongs together."""
    column = (layout.id or "").strip('"')
    values = [item.get(column) for item in candidate.samples]
    is_told = "id" in mapping or names.plain(column) not in ("id", "uuid")
    if is_told or len(values) < _MIN_ROWS or len(set(map(str, values))) < len(values):
        return
    others = ", ".join(repr(name[:40]) for name in candidate.table.names[:20])
    raise SourceError(
        f"every row has another {column!r}, so it is the message's id, and no column says which rows are one "
        f"conversation. Name it, for example --map {shlex.quote('id=COLUMN')}; the columns are {others}."
    )


def _embedded_turns(layout: Layout, candidate: _Candidate) -> Mapping[str, str]:
    """The fields of turns that are written out in a cell as JSON, or as Python does.

    Raises SourceError where they don't say who speaks.
    """
    column = (layout.transcript or "").strip('"')
    turns: list[Any] = []
    for item in candidate.samples:
        value = item.get(column)
        value = parse_list(value) if isinstance(value, str) else value
        if isinstance(value, Mapping):
            value = next((inner for inner in value.values() if isinstance(inner, list)), None)
        turns += [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
    fields = discover_turn(turns) if turns else {}
    if len(turns) > 1 and fields and not fields.keys() & _WHO:
        raise SourceError(
            f"the turns in {column!r} have the keys {', '.join(map(repr, list(turns[0])[:20]))}, and none says who "
            "speaks. Name it, for example --map "
            + shlex.quote(f"transcript={column},speaker=KEY,text={fields['text']}")
        )
    return fields


def _check_paths(candidate: _Candidate, mapping: Mapping[str, str]) -> None:
    """Raises SourceError where a told path leads nowhere in any of the records, nor in a turn of them."""
    if not mapping:
        return
    is_flat = "transcript" not in mapping
    outer = {field: path for field, path in mapping.items() if is_flat or field in ("id", "transcript")}
    lost = []
    for path in outer.values():
        getters = _getters(path)
        if not any(not is_missing(get(item)) for get in getters for item in candidate.samples):
            lost.append(path)
    if lost:
        raise SourceError(f"--map names {', '.join(map(repr, lost))}, but the columns are {_shown_keys([candidate])}.")


def _getters(path: str) -> list[Getter]:
    """What may be meant: a path, or the name of a key as it is, with spaces or more in it."""
    with suppress(SourceError):
        return [compile_path(path), lambda item: item.get(path)]
    return [lambda item: item.get(path)]


def _override(layout: Layout, mapping: Mapping[str, str]) -> Layout:
    """The layout with the paths that were told."""
    inner = {field: path for field, path in mapping.items() if field not in ("id", "transcript")}
    return replace(
        layout,
        id=mapping.get("id", layout.id),
        transcript=mapping.get("transcript", layout.transcript),
        turn={**layout.turn, **inner},
    )


def _without_absent_id(layout: Layout, candidate: _Candidate) -> Layout:
    """Where no record has the conversation's id, the records are numbered."""
    if layout.shape != "conversations" or layout.id is None or not candidate.samples:
        return layout
    get = compile_path(layout.id) if candidate.is_json else resolver(candidate.table.names)(layout.id)
    return layout if any(not is_missing(get(item)) for item in candidate.samples) else replace(layout, id=None)


def _keys(layout: Layout) -> str:
    return ", ".join(layout.keys)


def _shown_keys(candidates: Sequence[_Candidate]) -> str:
    found = max((candidate.table.names for candidate in candidates), key=len, default=())
    return ", ".join(repr(name[:40]) for name in found[:20])
