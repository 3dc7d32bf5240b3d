"""Where conversations and turns stand in JSON of an unknown kind. Pure: takes a few records, makes a layout."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from producer.readers.layouts import names
from producer.readers.layouts.discovery import discover_turn
from producer.readers.layouts.documents import KEY
from producer.readers.layouts.layout import Layout
from producer.readers.layouts.names import plain, snake
from producer.readers.layouts.paths import compile_path, quote_name
from producer.readers.layouts.values import is_missing

_MAX_DEPTH = 3
#: Ids that may as well be a message's or a person's.
_VAGUE = frozenset(("id", "uuid", "displayid"))
#: Whose id it is: `conversation.id` is a conversation's, `channel.id` is not.
_CONVERSATIONS = frozenset(
    ("conversation", "dialogue", "dialog", "ticket", "case", "chat", "session", "thread", "call")
)
_CONVERSATION_IDS = frozenset(plain(name) for name in names.IDS) - _VAGUE
#: Of those, the ids that are no channel's and no person's.
_OWN_IDS = frozenset(plain(name) for name in names.IDS[: names.IDS.index("chat_id") + 1])
_WHO = frozenset(("speaker", "inbound", "outbound"))
_TRANSCRIPTS = frozenset(plain(name) for name in names.TRANSCRIPTS[:8])


def discover_turn_record(samples: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> Layout | None:
    """The layout of records that are a turn each, and say to which conversation they belong."""
    if "transcript" in mapping or "reply_to" in mapping or any("tweet" in snake(key) for key in samples[0]):
        return None
    turn = {field: _told(path, samples) for field, path in mapping.items() if field != "id"}
    found = discover_turn(samples)
    turn = {**{field: path for field, path in found.items() if field not in _WHO or not _WHO & turn.keys()}, **turn}
    if "text" not in turn or not _WHO & turn.keys():
        return None
    external_id = _told(mapping["id"], samples) if "id" in mapping else _find_id(samples, is_shared=True)
    if external_id is None:
        return None
    return Layout("turns", "one turn a record", "turns", id=external_id, turn=turn)


def discover_conversation(samples: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> Layout | None:
    """The layout of records that have a list of turns in them."""
    paths = [_told(mapping["transcript"], samples)] if "transcript" in mapping else list(_list_paths(samples))
    for path in paths:
        get = compile_path(path)
        entries = [entry for item in samples for entry in _entries(get(item))]
        turn = discover_turn(entries)
        turn |= {field: path for field, path in mapping.items() if field not in ("id", "transcript")}
        if "text" not in turn or not _WHO & turn.keys() or (not mapping and _names_conversations(entries)):
            continue
        external_id = _told(mapping["id"], samples) if "id" in mapping else _find_id(samples, is_shared=False)
        if external_id is None and len(samples) == 1 and _share_conversation(entries):
            continue
        return Layout(
            "conversations", "one conversation a record", "conversations", id=external_id, transcript=path, turn=turn
        )
    return None


def _told(path: str, samples: Sequence[Mapping[str, Any]]) -> str:
    """A key that was told as it is, or a path."""
    return quote_name(path) if any(path in item for item in samples) else path


def _entries(value: Any) -> list[Any]:
    if isinstance(value, Mapping) and value and all(isinstance(each, Mapping) for each in value.values()):
        return list(value.values())
    return value if isinstance(value, list) else []


def _list_paths(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Paths to lists of objects or pairs, those that are called like turns first, the outer ones first."""
    ranks = {plain(name): rank for rank, name in enumerate(names.TURN_LISTS)}
    found: Counter[str] = Counter()
    for item in samples:
        for path, value in _walk(item, "", 1):
            found[path] += isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value)

    def surest(path: str) -> tuple[int, int]:
        return ranks.get(plain(path.replace('"', "").rpartition(".")[2]), len(ranks)), path.count(".")

    # Where few records have it, it is something else, or those few are odd.
    yield from sorted((path for path in found if found[path] * 2 >= len(samples)), key=surest)


def _walk(item: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in islice(item.items(), 100):
        path = f"{prefix}.{quote_name(key)}" if prefix else quote_name(key)
        yield path, value
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _walk(value, path, depth + 1)


def _names_conversations(entries: Sequence[Any]) -> bool:
    """Whether entries say to which conversation they belong, or hold whole ones: then they are records themselves."""
    records = [entry for entry in entries if isinstance(entry, Mapping)]
    for key in {key for entry in records for key in entry}:
        values = {str(entry[key]) for entry in records if not is_missing(entry.get(key))}
        if plain(key) in _CONVERSATION_IDS and len(values) > 1:
            return True
        if any(isinstance(entry.get(key), list) and discover_turn(entry[key]).keys() & _WHO for entry in records[:20]):
            return True
    return False


def _share_conversation(entries: Sequence[Any]) -> bool:
    """Whether all entries name the conversation to which they belong, which the list around them does not."""
    records = [entry for entry in entries if isinstance(entry, Mapping)]
    shared = set.intersection(*(set(entry) for entry in records)) if records else set()
    return any(plain(key) in _OWN_IDS and not is_missing(records[0][key]) for key in shared)


def _find_id(samples: Sequence[Mapping[str, Any]], *, is_shared: bool) -> str | None:
    """The path of the conversation's id.

    `is_shared`: several records have the same one; otherwise each has its own.
    """
    if not is_shared and all(KEY in item for item in samples):
        return quote_name(KEY)
    ranks = {plain(name): rank for rank, name in reversed(list(enumerate(names.IDS)))}
    found: list[tuple[int, int, str]] = []
    for path in dict.fromkeys(path for item in samples for path, _ in _walk(item, "", 2)):
        *above, last = map(plain, path.replace('"', "").split("."))
        values = [
            str(value) for item in samples if not is_missing(value := compile_path(path)(item)) and _is_key(value)
        ]
        is_vague = last in _VAGUE
        is_anothers = is_vague and above and above[-1] not in _CONVERSATIONS
        if last not in ranks or len(values) * 2 < len(samples) or is_anothers:
            continue
        is_unique = len(set(values)) == len(values)
        if is_shared and is_vague and is_unique and len(values) > 1:
            continue
        if not is_shared and len(values) > 1 and len(set(values)) * 2 <= len(values):
            continue
        found.append((path.count("."), ranks[last], path))
    return min(found)[2] if found else None


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and not is_missing(value)
