"""A layout: how the records of one kind of export are read. Data, with the checks that make an error a sentence.

name = "acme-desk"                      # what the account of a submission says
title = "Acme Desk: tickets (API, JSON)"
shape = "conversations"                 # a record is a conversation; or: turns, tweets

[recognise]
keys = ["requester_id", "comments"]     # paths that a record of this kind has
without = ["source"]                    # and paths that it does not have

[conversation]
id = "id"                               # absent: conversations are numbered
turns = "comments"                      # a list of turns; or transcript = "body": a text of `speaker: words` lines
prompt = "question"                     # read first: a prompt for a model, with the transcript in it
customer = "requester_id"               # who among the speakers is the customer; all others are agents
people = "users"                        # a list of {id, type or role, name} in which speakers are looked up

[turn]                                  # paths inside a turn, or in the record where shape = "turns"
speaker = "author_id"
text = "plain_body || body"
html = "html_body"                      # read where there is no `text`
time = "created_at"
public = "public"                       # false: a note among colleagues
skip = ["attachments_only"]             # an entry for which one of these is true is left out

[roles]                                 # what a speaker's value means: user, agent, note, event
end-user = "user"
"*" = "agent"

[kinds]                                 # what a value of `kind` means: message, note, event
note = "note"
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from aftercall.errors import SourceError
from producer.readers.layouts.paths import compile_path

Shape = Literal["conversations", "turns", "tweets"]
Role = Literal["user", "agent", "note", "event"]
KindWord = Literal["message", "note", "event"]

#: Stands for every value that is not listed.
OTHERS = "*"

#: The name of what is made for a question and its answer in two columns.
QUESTION_AND_ANSWER = "question-and-answer"

#: Paths of a conversation.
CONVERSATION_FIELDS = ("id", "transcript", "prompt", "turns", "customer", "people")

#: Fields of a turn, in the order of the documentation.
TURN_FIELDS = (
    "speaker", "inbound", "outbound", "text", "html", "time", "kind", "public", "private", "email", "author",
    "reply_to", "id",
)  # fmt: skip


class LayoutError(SourceError):
    """A layout file cannot be used."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How records are read. Paths are JMESPath; in a table the name of a column is a path too."""

    name: str
    title: str
    shape: Shape
    #: Paths that a record has; what tells this kind from others.
    keys: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    #: The conversation's id; None: conversations are numbered.
    id: str | None = None
    transcript: str | None = None
    #: Where it leads to something, a prompt with the transcript in it; otherwise `turns` or `transcript` is read.
    prompt: str | None = None
    turns: str | None = None
    customer: str | None = None
    people: str | None = None
    #: Field to path, of the fields in TURN_FIELDS.
    turn: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    #: Who speaks, turn after turn, where the format says it and the turns don't.
    alternate: tuple[str, ...] = ()
    #: Whether every text is HTML, or every message an e-mail.
    is_html: bool = False
    is_email: bool = False
    #: A speaker's value, in small letters, to what it means.
    roles: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_generic(self) -> bool:
        """Whether it was made for one source, which is of no known kind."""
        return self.name in (*get_args(Shape), QUESTION_AND_ANSWER)

    @property
    def outer_paths(self) -> tuple[str, ...]:
        """The paths of the conversation."""
        return tuple(filter(None, (self.id, self.transcript, self.prompt, self.turns, self.customer, self.people)))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it names."""
        return (*self.outer_paths, *self.turn.values(), *self.skip, *self.keys, *self.without)


_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "recognise": {"keys": "keys", "without": "without"},
    "conversation": {name: name for name in CONVERSATION_FIELDS},
    "turn": {"skip": "skip", "alternate": "alternate", "is_html": "is_html", "is_email": "is_email"},
}
_TOP = ("name", "title", "shape")


def parse_layout(data: Mapping[str, Any], where: str) -> Layout:
    """A layout from what a TOML file holds.

    Raises LayoutError, saying in which file what is wrong and what was expected.
    """
    unknown = data.keys() - {*_TOP, *_SECTIONS, "roles", "kinds"}
    if unknown:
        raise _wrong(
            where, f"unknown key {min(unknown)!r}", f"known are {', '.join((*_TOP, *_SECTIONS))}, roles, kinds"
        )
    values: dict[str, Any] = {key: _text(data.get(key), where, key) for key in _TOP if key in data}
    values.setdefault("name", where.removesuffix(".toml"))
    values.setdefault("title", values["name"])
    if values.get("shape") not in get_args(Shape):
        raise _wrong(where, "no shape", f"shape = one of {', '.join(map(repr, get_args(Shape)))}")
    for section, keys in _SECTIONS.items():
        values |= _parse_section(data.get(section, {}), section, keys, where)
    values["roles"] = _meanings(data.get("roles", {}), where, "roles", get_args(Role))
    values["kinds"] = _meanings(data.get("kinds", {}), where, "kinds", get_args(KindWord))
    layout = Layout(**values)
    _check(layout, where)
    return layout


def _parse_section(section: Any, name: str, known: Mapping[str, str], where: str) -> dict[str, Any]:
    if not isinstance(section, Mapping):
        raise _wrong(where, f"{name} is no section", f"expected [{name}] and lines of key = value under it")
    values: dict[str, Any] = {"turn": {}} if name == "turn" else {}
    kinds = {each.name: each.type for each in fields(Layout)}
    for key, value in section.items():
        if name == "turn" and key in TURN_FIELDS:
            values["turn"][key] = _text(value, where, f"{name}.{key}")
        elif key not in known:
            allowed = (*known, *(TURN_FIELDS if name == "turn" else ()))
            raise _wrong(where, f"unknown key {name}.{key}", f"known are {', '.join(allowed)}")
        elif kinds[known[key]] is bool:
            values[known[key]] = value is True
        elif str(kinds[known[key]]).startswith("tuple"):
            values[known[key]] = _texts(value, where, f"{name}.{key}")
        else:
            values[known[key]] = _text(value, where, f"{name}.{key}")
    return values


def _check(layout: Layout, where: str) -> None:
    for path in layout.paths:
        try:
            compile_path(path)
        except SourceError as error:
            raise LayoutError(f"{where}: {error}") from None
    has_text = "text" in layout.turn or "html" in layout.turn
    who = {"speaker", "inbound", "outbound"} & layout.turn.keys()
    if layout.shape == "conversations" and not (layout.transcript or layout.turns):
        raise _wrong(where, "nothing says where the turns stand", 'expected [conversation] turns = "…" or transcript')
    if layout.shape != "conversations" or layout.turns:
        if not has_text:
            raise _wrong(where, "nothing says where a turn's text stands", 'expected [turn] text = "…"')
        if not who and not layout.alternate:
            raise _wrong(where, "nothing says who speaks", 'expected [turn] speaker = "…", inbound or outbound')
    if layout.shape == "turns" and layout.id is None:
        raise _wrong(where, "nothing says to which conversation a turn belongs", 'expected [conversation] id = "…"')


def _meanings(section: Any, where: str, name: str, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(section, Mapping):
        raise _wrong(where, f"{name} is no section", f"expected [{name}] and lines of value = meaning under it")
    for value, meaning in section.items():
        if meaning not in known:
            raise _wrong(where, f"{name}.{value} is {meaning!r}", f"expected one of {', '.join(known)}")
    return {str(value).casefold(): str(meaning) for value, meaning in section.items()}


def _text(value: Any, where: str, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(where, f"{key} is {value!r}", f'expected text in quotes, as in {key.split(".")[-1]} = "…"')
    return value


def _texts(value: Any, where: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(where, f"{key} is {value!r}", f'expected a list of texts, as in {key.split(".")[-1]} = ["…"]')
    return tuple(_text(each, where, key) for each in value)


def _wrong(where: str, what: str, expected: str) -> LayoutError:
    return LayoutError(f"the layout {where}: {what}; {expected}. docs/exports.md shows a whole one.")
