"""A record and its layout, made into a raw conversation or a raw turn. Knows no container and no file.

A value that a layout does not list is looked up among the words for roles, and is a label if it is none of them:
`sides` decides about labels over the whole file.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from aftercall.conversation import Speaker
from producer.cleaning.prepare import prepare_text
from producer.readers.jsonlines import is_json
from producer.readers.layouts.discovery import discover_turn
from producer.readers.layouts.layout import CONVERSATION_FIELDS, OTHERS, Layout
from producer.readers.layouts.names import SPEAKERS
from producer.readers.layouts.paths import compile_path
from producer.readers.layouts.values import is_missing, take_flag, take_key, take_label, take_words
from producer.readers.layouts.written import parse_list
from producer.readers.raw import Kind, RawConversation, RawTurn
from producer.readers.rows import RowError, Table
from producer.readers.sides.speakers import find_role, take_inbound
from producer.readers.tables import resolver
from producer.readers.timing.times import TimeReader
from producer.readers.transcripts.instruction import split_prompt
from producer.readers.transcripts.transcript import split_transcript

#: A list with more entries is no support conversation.
MAX_TURNS = 50_000

_MAX_MEANINGS = 10_000
_SIDES: dict[str, Speaker] = {"user": "user", "agent": "agent"}
_KINDS: dict[str, Kind] = {"message": "message", "note": "note", "event": "event"}


@dataclass(frozen=True, slots=True)
class Company:
    """What a conversation says of its speakers: who is the customer, and what role the people in it have."""

    customers: frozenset[str] = frozenset()
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)


NOBODY = Company()


class ItemReader:
    """Reads records by one layout. Each method raises RowError."""

    def __init__(
        self, layout: Layout, times: Iterable[str] = (), table: Table | None = None, numbered: str = ""
    ) -> None:
        self.layout = layout
        #: Times of the conversation at hand that could not be read.
        self.num_unreadable = 0
        self._times = TimeReader(times)
        self._numbered = numbered
        self._discovered: ItemReader | None = None
        resolve = compile_path if table is None or is_json(table) else resolver(table.names)
        #: Paths of the conversation, which in a table are names of columns.
        self._outer = {name: resolve(path) for name in CONVERSATION_FIELDS if (path := getattr(layout, name))}
        inside = compile_path if layout.shape == "conversations" else resolve
        self._turn = {name: inside(path) for name, path in layout.turn.items()}
        self._skip = [inside(path) for path in layout.skip]
        #: What labels mean, as far as they were met.
        self._meanings: dict[str, tuple[Speaker | None, str, Kind]] = {}
        self._by_value = layout.roles.get(OTHERS)
        self._by_kind = layout.kinds.get(OTHERS)

    def used(self, table: Table) -> list[str] | None:
        """The columns of a table that are read; None: any may be, by a path that is no column's name."""
        columns = resolver(table.names)
        paths = (*self.layout.outer_paths, *self.layout.turn.values(), *self.layout.skip)
        found = [columns.column(path) for path in paths]
        return None if None in found else [column for column in dict.fromkeys(found) if column]

    def needed(self, table: Table) -> frozenset[str]:
        """The columns without which a row of a table says nothing."""
        if is_json(table):
            return frozenset()
        columns = resolver(table.names)
        paths = [self.layout.id, self.layout.transcript, *(self.layout.turn.get(name) for name in ("text", "speaker"))]
        return frozenset(column for path in paths if path and (column := columns.column(path)))

    def take_id(self, item: Any, number: int) -> str:
        """The conversation's id; its number where the layout names none."""
        return self.take_key(self._outer["id"](item) if "id" in self._outer else None, number)

    def take_key(self, value: Any, number: int) -> str:
        """The same from the value that stands for it."""
        return f"{self._numbered}{number}" if self.layout.id is None else take_key(value, self.layout.id)

    def conversation(self, item: Any, number: int) -> RawConversation:
        """A record that is a conversation."""
        external_id = self.take_id(item, number)
        self.num_unreadable = 0
        if "prompt" in self._outer and (prompt := self._outer["prompt"](item)):
            return RawConversation(external_id, tuple(split_prompt(take_words(prompt))))
        if "turns" in self._outer:
            entries = self._outer["turns"](item)
            return RawConversation(external_id, tuple(self._entries(entries, self._company(item))))
        return RawConversation(external_id, tuple(self.transcript(self._outer["transcript"](item))))

    def transcript(self, value: Any) -> Iterator[RawTurn]:
        """The turns of a text, or of a list; a list may be written out as JSON or Python in a text."""
        if isinstance(value, str):
            if is_missing(value):
                raise RowError("the transcript is empty.")
            listed = parse_list(value)
            if listed is None:
                # Tags and entities are read before lines: a break may be written as one.
                yield from split_transcript(prepare_text(value) if "<" in value or "&" in value else value)
                return
            value = listed
        if isinstance(value, Mapping):
            value = _inner_list(value)
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            yield from split_transcript("\n".join(value))
        else:
            yield from self._entries(value, NOBODY)

    def turn(self, item: Any) -> RawTurn:
        """A record that is a turn."""
        return self._entry(item, NOBODY, 0)

    def _entries(self, entries: Any, company: Company) -> Iterator[RawTurn]:
        if entries is None or entries == []:
            raise RowError("the transcript is empty.")
        if isinstance(entries, Mapping):
            entries = list(entries.values())
        if not isinstance(entries, list):
            raise RowError(f"the turns are {str(entries)[:40]!r}; expected a list of them.")
        if len(entries) > MAX_TURNS:
            raise RowError(f"the conversation has more than {MAX_TURNS:,} turns.")
        reader = self._embedded(entries)
        for place, entry in enumerate(entry for entry in entries if entry is not None):
            yield reader._entry(entry, company, place)

    def _embedded(self, entries: list[Any]) -> "ItemReader":
        """What reads these turns: this reader, or one made for them where the layout says nothing about turns."""
        if self._turn or self.layout.alternate:
            return self
        if self._discovered is None and (found := discover_turn(entries)):
            self._discovered = ItemReader(replace(self.layout, turn=found), numbered=self._numbered)
        return self._discovered or self

    def _entry(self, entry: Any, company: Company, place: int) -> RawTurn:
        """One entry as a turn; its text is empty where there is nothing to read, as in a picture."""
        if type(entry) is not dict and not isinstance(entry, Mapping | list):
            raise RowError(f"a turn is {str(entry)[:40]!r}; expected an object with speaker and text.")
        kind, time = self._kind(entry), self._time(entry)
        text, is_html = self._text(entry)
        if is_missing(text):
            return RawTurn("", kind=kind, time=time)
        speaker, label, kind = self._speaker(entry, company, kind, place)
        if self._is_skipped(entry):
            kind = "event"
        return RawTurn(text, label, speaker, kind, time, is_html, self._is_email(entry))

    def _text(self, entry: Any) -> tuple[str, bool]:
        if "text" in self._turn and not is_missing(value := self._turn["text"](entry)):
            return take_words(value), self.layout.is_html
        if "html" in self._turn and not is_missing(value := self._turn["html"](entry)):
            return take_words(value), True
        return "", False

    def _time(self, entry: Any) -> float | None:
        value = self._turn["time"](entry) if "time" in self._turn else None
        if is_missing(value):
            return None
        time = self._times.read(str(value))
        self.num_unreadable += time is None
        return time

    def _is_email(self, entry: Any) -> bool:
        if self.layout.is_email or "email" not in self._turn:
            return self.layout.is_email
        return "mail" in str(self._turn["email"](entry)).casefold()

    def _is_skipped(self, entry: Any) -> bool:
        return any(skip(entry) for skip in self._skip)

    def _kind(self, entry: Any) -> Kind:
        if "public" in self._turn and take_flag(self._turn["public"](entry)) is False:
            return "note"
        if "private" in self._turn and take_flag(self._turn["private"](entry)) is True:
            return "note"
        if "kind" not in self._turn:
            return "message"
        word = take_label(self._turn["kind"](entry)).casefold()
        if not word:
            return "message"
        meaning = self.layout.kinds.get(word)
        if meaning is None and not self.layout.kinds:
            found = find_role(word)
            meaning = found if found in ("note", "event") else "message"
        return _KINDS[meaning or self._by_kind or "message"]

    def _speaker(self, entry: Any, company: Company, kind: Kind, place: int) -> tuple[Speaker | None, str, Kind]:
        """Side, label and kind."""
        if self.layout.alternate:
            return _SIDES[self.layout.alternate[place % len(self.layout.alternate)]], "", kind
        for name, is_ours in (("inbound", False), ("outbound", True)):
            if name in self._turn and not is_missing(flag := self._turn[name](entry)):
                side = self._flagged(flag, is_ours)
                if side is not None:
                    return side, side, kind
                if "speaker" not in self._turn and kind == "message":
                    raise RowError(f"the {name} flag is {str(flag)[:40]!r}; expected true or false.")
        if "speaker" not in self._turn:
            if kind == "message":
                raise RowError(
                    f"a turn has the keys {', '.join(map(repr, entry))[:80]}; expected one of "
                    f"{', '.join(SPEAKERS[:4])} …, to say who speaks."
                )
            return None, "", kind
        return self._named(take_label(self._turn["speaker"](entry)), company, kind)

    def _flagged(self, flag: Any, is_ours: bool) -> Speaker | None:
        word = str(flag).strip().casefold()
        if (meaning := self.layout.roles.get(word)) in _SIDES:
            return _SIDES[meaning]
        with suppress(RowError):
            side = take_inbound(flag)
            return {"user": "agent", "agent": "user"}[side] if is_ours else side  # type: ignore[return-value]
        return None

    def _named(self, label: str, company: Company, kind: Kind) -> tuple[Speaker | None, str, Kind]:
        if company.customers:
            return ("user" if label in company.customers else "agent"), label, kind
        if not company.people:
            found = self._meanings.get(label)
            if found is None:
                found = self._meanings[label] = self._find_meaning(label, label)
                if len(self._meanings) > _MAX_MEANINGS:
                    self._meanings.clear()
            side, label, meant = found
            return side, label, kind if meant == "message" or kind != "message" else meant
        side, label, meant = self._find_meaning(*company.people.get(label, (label, label)))
        return side, label, kind if meant == "message" or kind != "message" else meant

    def _find_meaning(self, role: str, label: str) -> tuple[Speaker | None, str, Kind]:
        """Side, label and kind of an entry by its speaker."""
        meaning = self.layout.roles.get(role.casefold())
        if meaning is None:
            meaning = find_role(role) or self._by_value
        if meaning in ("note", "event"):
            return None, label or role, _KINDS[meaning]
        return _SIDES.get(meaning or ""), label or role, "message"

    def _company(self, item: Any) -> Company:
        customers: frozenset[str] = frozenset()
        if "customer" in self._outer:
            value = self._outer["customer"](item)
            values = value if isinstance(value, list) else [value]
            customers = frozenset(label for each in values if (label := take_label(each)))
        people: dict[str, tuple[str, str]] = {}
        if "people" in self._outer and isinstance(listed := self._outer["people"](item), list):
            for each in filter(lambda each: isinstance(each, Mapping), listed):
                role = take_label(each.get("role") or each.get("type") or each.get("purpose"))
                name = take_label(each.get("name") or each.get("id"))
                people[take_label(each.get("id"))] = (role, name)
        return Company(customers, people)


def _inner_list(value: Mapping[str, Any]) -> list[Any]:
    """The turns of an object that wraps them, or whose values they are."""
    inner = [each for each in value.values() if isinstance(each, list)]
    if not inner and not all(isinstance(each, Mapping) for each in value.values()):
        raise RowError("the transcript is an object; expected text or a list of turns.")
    return inner[0] if inner else list(value.values())
