"""Which layout reads a source: the one that was told, a shipped one that fits, or one made for what is found.

Looks at the first records only. Says in a sentence why it chose; refuses rather than guesses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from aftercall.errors import SourceError
from producer.readers.jsonlines import is_json
from producer.readers.layouts import columns
from producer.readers.layouts.candidates import Candidate, find_candidates, sample_records, shown_keys
from producer.readers.layouts.guessing import make_layout
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.layout_files import find_layout, shipped_layouts
from producer.readers.layouts.names import snake
from producer.readers.layouts.paths import compile_path
from producer.readers.layouts.values import is_missing, take_label
from producer.readers.layouts.written import parse_list
from producer.readers.rows import Table
from producer.readers.sides.speakers import find_role, is_bot_word
from producer.readers.tables import resolver

#: Words for customers only.
_CUSTOMERS = frozenset(("contact", "end_user", "enduser", "customer", "visitor", "requester", "client"))
#: Mapped fields that say how a record is to be read, so that no shipped layout is asked.
_TELLING = frozenset(("transcript", "speaker", "inbound", "outbound", "text", "reply_to"))


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
    candidates = list(find_candidates(table))
    if layout_name:
        return _told(find_layout(layout_name), candidates, mapping)
    if not _TELLING & mapping.keys():
        # The outermost records first: those inside are parts of them, and alone are half a conversation.
        for candidate in candidates:
            for layout in shipped_layouts():
                if candidate.fits(layout):
                    found = candidate.with_siblings(candidates, layout)
                    fitting = _override(_without_absent_id(layout, candidate), mapping)
                    return Recognised(fitting, f"it has {_keys(layout)}", found.table)
    return _discover(candidates, mapping)


def sample_times(found: Recognised) -> Iterator[str]:
    """Times of the first records, as they are written."""
    return map(str, _sample(found.layout, found.table, "time"))


def _sample(layout: Layout, table: Table, name: str) -> Iterator[Any]:
    """What stands in this field of the turns in the first records."""
    if name not in layout.turn:
        return
    inside = layout.turns or layout.transcript
    get = compile_path if is_json(table) else resolver(table.names)
    outer = get(inside) if inside else None
    read = compile_path(layout.turn[name]) if inside else get(layout.turn[name])
    for item in sample_records(table):
        entries = outer(item) if outer else [item]
        if isinstance(entries, str):
            entries = parse_list(entries)
        for entry in entries if isinstance(entries, list) else ():
            if not is_missing(value := read(entry)):
                yield value


def _settle_users(layout: Layout, table: Table) -> Layout:
    """The layout, a `user` being one of the company's where the export has another word for the customer.

    Help desks call those so who use them: `contact` and `user`, `end-user` and `user`.
    """
    labels = {label for value in _sample(layout, table, "speaker") if (label := take_label(value))}
    users = {snake(label) for label in labels if find_role(label) == "user"}
    has_agents = any(find_role(label) == "agent" and not is_bot_word(label) for label in labels)
    is_theirs = "user" in users and users & _CUSTOMERS and not has_agents
    return replace(layout, roles={"user": "agent"}) if is_theirs else layout


def _told(layout: Layout, candidates: Sequence[Candidate], mapping: Mapping[str, str]) -> Recognised:
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
        f"The first one has {shown_keys(candidates[:2])}."
    )


def _discover(candidates: Sequence[Candidate], mapping: Mapping[str, str]) -> Recognised:
    """A layout made for what stands in the records."""
    refusals: list[tuple[bool, bool, int, SourceError]] = []
    for candidate in candidates:
        try:
            layout = make_layout(candidate, mapping)
        except SourceError as error:
            # What says most: what is wrong with turns that were found, or else about the records with the most keys.
            is_vague = isinstance(error, columns.UnrecognisedError)
            refusals.append((is_vague, candidate.is_wrapped, -len(candidate.table.names), error))
            continue
        why = "by --map" if mapping else "by the names of its columns" if not candidate.is_json else "by its keys"
        table = candidate.with_siblings(candidates, None).table
        return Recognised(_settle_users(layout, table), why, table)
    if refusals:
        raise min(refusals, key=itemgetter(0, 1, 2))[3]
    raise SourceError("no record could be read. Expected a support export.")


def _override(layout: Layout, mapping: Mapping[str, str]) -> Layout:
    """The layout with the paths that were told."""
    inner = {field: path for field, path in mapping.items() if field not in ("id", "transcript")}
    return replace(
        layout,
        id=mapping.get("id", layout.id),
        transcript=mapping.get("transcript", layout.transcript),
        turn={**layout.turn, **inner},
    )


def _without_absent_id(layout: Layout, candidate: Candidate) -> Layout:
    """Where no record has the conversation's id, the records are numbered."""
    if layout.shape != "conversations" or layout.id is None or not candidate.samples:
        return layout
    get = compile_path(layout.id) if candidate.is_json else resolver(candidate.table.names)(layout.id)
    return layout if any(not is_missing(get(item)) for item in candidate.samples) else replace(layout, id=None)


def _keys(layout: Layout) -> str:
    return ", ".join(layout.keys)
