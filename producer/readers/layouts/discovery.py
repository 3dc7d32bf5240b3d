"""Where the fields stand in turns of an unknown kind: by the names of their keys, and by what stands under them.

Pure: takes a few turns, gives paths. The surest name wins; of several that name a speaker, the one whose values are
words for roles wins over one whose values are names.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from producer.readers.layouts import names
from producer.readers.layouts.paths import quote_name
from producer.readers.layouts.values import is_missing, take_flag, take_label
from producer.readers.sides.speakers import find_role

_MAX_DEPTH = 3
_MAX_SAMPLES = 200
#: Whose role or name it is: `author.type` is who speaks, `attachment.type` is not.
_PERSONS = frozenset(
    ("author", "sender", "user", "from", "participant", "speaker", "actor", "agent", "member", "creator")
)
_ROLES = ("role", "type", "kind", "t", "purpose")
#: Values of a kind by which this is the kind of an entry, and not of something else.
_ENTRY_KINDS = frozenset(
    ("message", "msg", "text", "reply", "comment", "note", "internal_note", "event", "system", "public", "private")
)

#: Paths to the values found there, one an item.
_Found = Mapping[str, list[Any]]


def discover_turn(entries: Sequence[Any]) -> dict[str, str]:
    """Field to path, of what these turns have; empty if they are no turns at all."""
    sampled = [entry for entry in islice(entries, _MAX_SAMPLES) if isinstance(entry, Mapping | list)]
    if sampled and all(_is_pair(entry) for entry in sampled):
        return {"speaker": "[0]", "text": "[1]"}
    found: dict[str, list[Any]] = {}
    for entry in sampled:
        for path, value in _flatten(entry, ""):
            found.setdefault(path, []).append(value)
    texts = _ranked(found, names.TEXTS, lambda values: any(isinstance(each, str | list) for each in values))
    if not texts:
        return {}
    fields = {"text": " || ".join(_alternatives(texts, found, len(sampled)))}
    fields |= _speaker(found, fields["text"])
    for field, known in (("private", names.PRIVATE), ("public", names.PUBLIC)):
        if flags := _ranked(found, known, _are_flags):
            fields[field] = flags[0]
    if times := _ranked(found, names.TIMES, _are_single):
        fields["time"] = times[0]
    if kinds := _ranked(found, names.KINDS, _are_kinds):
        fields["kind"] = kinds[0]
    return fields


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(each, str) for each in entry)


def _flatten(entry: Any, prefix: str, depth: int = 1) -> list[tuple[str, Any]]:
    """Every path of an item with its value; lists are values."""
    found: list[tuple[str, Any]] = []
    if isinstance(entry, Mapping):
        for key, value in islice(entry.items(), 100):
            path = f"{prefix}.{quote_name(key)}" if prefix else quote_name(key)
            if isinstance(value, Mapping) and depth < _MAX_DEPTH:
                found += _flatten(value, path, depth + 1)
            else:
                found.append((path, value))
    return found


def _steps(path: str) -> list[str]:
    return [names.snake(step) for step in path.replace('"', "").split(".")]


def _ranked(found: _Found, known: Sequence[str], fits: Any) -> list[str]:
    """Paths whose last step is a known name and whose values fit: the outer ones first, then the surer names."""
    ranks = {names.plain(name): rank for rank, name in reversed(list(enumerate(known)))}
    matching = []
    for path, values in found.items():
        given = [value for value in values if not is_missing(value)]
        rank = ranks.get(_steps(path)[-1].replace("_", ""))
        if rank is not None and given and fits(given):
            matching.append((path.count("."), rank, path))
    return [path for _, _, path in sorted(matching)]


def _alternatives(paths: Sequence[str], found: _Found, num_items: int) -> list[str]:
    """The surest path, with more where some items only have those."""
    taken: list[str] = []
    num_covered = 0
    for path in paths:
        num = sum(not is_missing(value) for value in found[path])
        if not taken or (num_covered < num_items and path.count(".") == 0 and num + num_covered <= num_items):
            taken.append(path)
            num_covered += num
    return taken


def _speaker(found: _Found, text: str) -> dict[str, str]:
    """The field that says who speaks: a role, or a flag, or a name."""
    roles = [path for path in _ranked(found, names.SPEAKERS, _are_single) if path != text]
    roles += [path for path in found if _is_persons(path, _ROLES) and _are_single(found[path])]
    inbound = _ranked(found, names.INBOUND, _are_flags)
    outbound = _ranked(found, names.OUTBOUND, _are_flags)
    known = [path for path in roles if _share_known(found[path]) == 1]
    if known:
        return {"speaker": known[0]}
    if inbound or outbound:
        return {"inbound": inbound[0]} if inbound else {"outbound": outbound[0]}
    partly = [path for path in roles if _share_known(found[path]) >= 0.3]
    authors = _ranked(found, names.AUTHORS, _are_single)
    authors += [path for path in found if _is_persons(path, ("name", "email", "id")) and _are_single(found[path])]
    chosen = next(iter([*partly, *(path for path in roles if path not in partly), *authors]), None)
    return {"speaker": chosen} if chosen else {}


def _is_persons(path: str, ends: Sequence[str]) -> bool:
    *above, last = _steps(path)
    return bool(above) and above[-1] in _PERSONS and last in ends


def _are_single(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str | int | float) or value is None for value in values)


def _are_flags(values: Sequence[Any]) -> bool:
    return all(take_flag(value) is not None for value in values if not is_missing(value))


def _are_kinds(values: Sequence[Any]) -> bool:
    words = {str(value).casefold() for value in values if isinstance(value, str)}
    return bool(words & _ENTRY_KINDS) or any(find_role(word) in ("note", "event") for word in words)


def _share_known(values: Sequence[Any]) -> float:
    """How many of the values are words for roles."""
    labels = [label for value in values if (label := take_label(value))]
    return sum(find_role(label) is not None for label in labels) / len(labels) if labels else 0.0
