"""A layout made for records of no known kind, by the names of their columns or keys and by what stands in them.

Refuses rather than guesses.
"""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aftercall.errors import SourceError
from producer.readers.layouts import columns, names
from producer.readers.layouts.candidates import Candidate, shown_keys
from producer.readers.layouts.discovery import discover_turn
from producer.readers.layouts.documents import KEY
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.lists import discover_conversation, discover_turn_record
from producer.readers.layouts.paths import Getter, compile_path, quote_name
from producer.readers.layouts.places import find_order
from producer.readers.layouts.proposals import find_shared, find_speaker
from producer.readers.layouts.values import is_missing
from producer.readers.layouts.written import parse_list

#: With fewer rows, ids that are all different say nothing.
_MIN_ROWS = 5
#: Names have fewer words.
_MIN_SENTENCE_WORDS = 3
_WHO = frozenset(("speaker", "inbound", "outbound"))


def make_layout(candidate: Candidate, mapping: Mapping[str, str]) -> Layout:
    """A layout for these records, with the paths that were told.

    Raises SourceError where nothing in them looks like a conversation, or where a told path leads nowhere.
    """
    if candidate.is_json:
        _check_paths(candidate, mapping)
        layout = discover_turn_record(candidate.samples, mapping) or discover_conversation(candidate.samples, mapping)
        if layout is not None:
            return layout
    flat = {field: path for field, path in mapping.items() if not candidate.is_json or path in candidate.table.names}
    if not mapping and (layout := _question_and_answer(candidate)):
        return layout
    shape, found = columns.recognise(candidate.table.names, flat, candidate.samples)
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


def _question_and_answer(candidate: Candidate) -> Layout | None:
    found = candidate.table.names
    if columns.is_known(found, {}) and columns.recognise(found, {})[0] != "conversations":
        return None

    def holds_sentences(name: str) -> bool:
        said = [str(item.get(name) or "").split() for item in candidate.samples]
        return sum(map(len, said)) >= _MIN_SENTENCE_WORDS * max(1, len(said))

    return columns.question_and_answer(found, holds_sentences)


def _refine(layout: Layout, candidate: Candidate, mapping: Mapping[str, str]) -> Layout:
    """With what the values tell beyond the names: which of several columns holds the role, what a kind is."""
    rows = [{key: value for key, value in item.items() if key in candidate.table.names} for item in candidate.samples]
    found = {field: path.strip('"') if not candidate.is_json else path for field, path in discover_turn(rows).items()}
    turn = dict(layout.turn)
    if not _WHO & mapping.keys():
        who = {field: path for field, path in found.items() if field in _WHO}
        if who:
            turn = {field: path for field, path in turn.items() if field not in _WHO} | who
    turn |= {field: found[field] for field in ("kind",) if field in found and field not in mapping}
    if "time" not in mapping:
        turn |= find_order(candidate.samples, turn.get("time"))
    _refuse_message_ids(layout, candidate, mapping)
    return replace(layout, turn=turn)


def _refuse_message_ids(layout: Layout, candidate: Candidate, mapping: Mapping[str, str]) -> None:
    """A column of which no value comes twice numbers the messages, and does not say what belongs together."""
    column = (layout.id or "").strip('"')
    values = [item.get(column) for item in candidate.samples]
    is_told = "id" in mapping or names.plain(column) not in ("id", "uuid")
    if is_told or len(values) < _MIN_ROWS or len(set(map(str, values))) < len(values):
        return
    others = ", ".join(repr(name[:40]) for name in candidate.table.names[:20])
    proposed = f"id={find_shared(candidate.samples, candidate.table.names) or 'COLUMN'}"
    raise SourceError(
        f"every row has another {column!r}, so it is the message's id, and no column says which rows are one "
        f"conversation. Name it, for example --map {shlex.quote(proposed)}; the columns are {others}."
    )


def _embedded_turns(layout: Layout, candidate: Candidate) -> Mapping[str, str]:
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
        labels = {key: [str(turn[key]) for turn in turns if key in turn] for key in turns[0] if key != fields["text"]}
        speaker = find_speaker(labels) or "KEY"
        raise SourceError(
            f"the turns in {column!r} have the keys {', '.join(map(repr, list(turns[0])[:20]))}, and none says who "
            "speaks. Name it, for example --map "
            + shlex.quote(f"transcript={column},speaker={speaker},text={fields['text']}")
        )
    return fields


def _check_paths(candidate: Candidate, mapping: Mapping[str, str]) -> None:
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
        raise SourceError(f"--map names {', '.join(map(repr, lost))}, but the columns are {shown_keys([candidate])}.")


def _getters(path: str) -> list[Getter]:
    """What may be meant: a path, or the name of a key as it is, with spaces or more in it."""
    with suppress(SourceError):
        return [compile_path(path), lambda item: item.get(path)]
    return [lambda item: item.get(path)]
