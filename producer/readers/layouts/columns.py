"""Which column holds what: headers are recognised by name, or told with `--map field=column,…`.

Knows names only; it reads no row. The fields:

    id          the conversation's id; in a table of tweets, the tweet's
    transcript  the whole conversation: `speaker: text` lines, or in JSON a list of turns
    speaker     who speaks: a role (user, customer, agent, support …), or a name
    inbound     who speaks, as a flag: true when it comes from the customer
    outbound    the same the other way round: true when it comes from the company
    text        what is said in this turn or tweet
    time        when it was said; may be absent
    kind        what kind of entry this is: a message, a note, an event; may be absent
    private     true for a note among colleagues; may be absent
    public      false for a note among colleagues; may be absent
    author      who wrote the tweet; may be absent
    reply_to    the id of the tweet that this one answers

In JSON a column is a path, such as `author.type`.
"""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aftercall.errors import SourceError
from producer.readers.layouts import names as known_names
from producer.readers.layouts.layout import QUESTION_AND_ANSWER, Layout, Shape
from producer.readers.layouts.names import plain
from producer.readers.layouts.paths import quote_name
from producer.readers.layouts.proposals import propose_map

#: Characters of a column's name that a message shows.
_MAX_SHOWN = 60

#: What a column's name may have in it without being several.
_WITHIN_NAMES = " _-.\"'"

#: How the columns begin of what `aftercall export` and `aftercall run` write.
_OF_SUMMARIES = ("id", "state", "summary", "coverage")

#: Field to column.
Columns = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    """A shape, and the column names by which its fields are known, the surest first."""

    shape: Shape
    description: str
    #: Each group needs one of its fields.
    required: tuple[tuple[str, ...], ...]
    names: Mapping[str, Sequence[str]]


_SPEECH = {
    "speaker": known_names.SPEAKERS,
    "inbound": known_names.INBOUND,
    "outbound": known_names.OUTBOUND,
    "text": known_names.TEXTS,
    "time": known_names.TIMES,
    "private": known_names.PRIVATE,
    "public": known_names.PUBLIC,
}

_KNOWN = (
    _Known(
        "tweets",
        "one tweet a row:        tweet_id, author_id, inbound, created_at, text, in_response_to_tweet_id",
        (("id",), ("inbound",), ("text",), ("reply_to",)),
        {
            "id": ("tweet_id",),
            "author": ("author_id", "author"),
            "inbound": known_names.INBOUND,
            "text": known_names.TEXTS,
            "time": known_names.TIMES,
            "reply_to": ("in_response_to_tweet_id", "in_reply_to_tweet_id", "in_reply_to_status_id", "reply_to"),
        },
    ),
    _Known(
        "turns",
        "one turn a row:         conversation_id, speaker (or role, inbound), text, time",
        (("id",), ("speaker", "inbound", "outbound"), ("text",)),
        {"id": (*known_names.IDS, "conversation", "dialogue", "thread"), "kind": (), **_SPEECH},
    ),
    _Known(
        "conversations",
        "one conversation a row: conversation_id, transcript",
        (("transcript",),),
        {"id": known_names.IDS, "transcript": known_names.TRANSCRIPTS},
    ),
)

FIELDS = tuple(dict.fromkeys(field for known in reversed(_KNOWN) for field in known.names))

#: A mapped field that only one shape has settles the shape.
_TELLING: dict[str, Shape] = {
    "transcript": "conversations",
    "reply_to": "tweets",
    "speaker": "turns",
}

_TRANSCRIPTS = frozenset(map(plain, known_names.TRANSCRIPTS[:7]))

#: A comma that parts two pairs, and not two words of a path.
_PAIR = re.compile(rf",(?=\s*(?:{'|'.join(FIELDS)})\s*=(?!=))")
#: A comma that looks as if it did.
_LOOSE_PAIR = re.compile(r",\s*[a-z_]+\s*=(?!=)")


class OwnFileError(SourceError):
    """What is to be read is what aftercall wrote."""


class UnrecognisedError(SourceError):
    """The columns are those of nothing that is known."""


def parse_mapping(text: str) -> dict[str, str]:
    """`id=ticket,text=body` as field to column or path.

    Raises SourceError on what is no pair or no field, and on a column that is to be two fields.
    """
    mapping: dict[str, str] = {}
    for pair in filter(str.strip, _PAIR.split(text)):
        field, equals, column = (part.strip() for part in pair.partition("="))
        loose = _LOOSE_PAIR.search(column)
        if field not in FIELDS or not equals or not column or loose:
            wrong = column[loose.start() + 1 :] if loose and field in FIELDS else pair
            raise SourceError(
                f"--map takes field=column pairs, and {wrong.strip()!r} is none. "
                f"The fields are {', '.join(FIELDS)}; for example --map id=ticket,transcript=body"
            )
        if column in mapping.values():
            raise SourceError(f"--map names the column {column!r} twice; each field needs one of its own.")
        mapping[field] = column
    return mapping


def recognise(
    names: Sequence[str], mapping: Mapping[str, str], samples: Sequence[Mapping[str, Any]] = ()
) -> tuple[Shape, Columns]:
    """The shape that these columns make, and which column holds which field. The samples are for a proposal.

    Raises SourceError if they make none, or if the mapping names a column that is not there: OwnFileError where
    the columns are those of summaries.
    """
    missing = [column for column in mapping.values() if column not in names]
    if missing:
        raise _refusal(names, f"--map names {_quoted(missing)}, but the columns are {_quoted(names)}.")
    wanted = next((_TELLING[field] for field in _TELLING if field in mapping), None)
    for known in _KNOWN:
        columns = _match(known, names, mapping)
        is_whole = all(any(field in columns for field in group) for group in known.required)
        if wanted in (None, known.shape) and is_whole and _is_sure(columns, mapping):
            _refuse_twins(names, columns)
            return known.shape, columns
    refusal = _refusal(names, unrecognised(names, samples))
    raise refusal if isinstance(refusal, OwnFileError) else UnrecognisedError(str(refusal))


def _is_sure(columns: Columns, mapping: Mapping[str, str]) -> bool:
    """Without an id, a column is a transcript only if it is called one: a `text` may be anything."""
    return "id" in columns or "transcript" in mapping or plain(columns["transcript"]) in _TRANSCRIPTS


def is_known(names: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Whether these columns make a shape, with an id."""
    try:
        return "id" in recognise(names, mapping)[1] or "transcript" in mapping
    except SourceError:
        return False


def question_and_answer(names: Sequence[str], holds_sentences: Callable[[str], bool]) -> Layout | None:
    """The layout of a table with the customer's words in one column and the company's in another.

    A column that is called `customer` may as well hold names: `holds_sentences` tells.
    """
    found = {plain(name): name for name in reversed(names)}

    def find(sure: Sequence[str], vague: Sequence[str]) -> list[str]:
        surely = [found[plain(name)] for name in sure if plain(name) in found]
        return surely or [name for each in vague if (name := found.get(plain(each))) and holds_sentences(name)]

    questions = find(known_names.QUESTIONS, known_names.VAGUE_QUESTIONS)
    answers = find(known_names.ANSWERS, known_names.VAGUE_ANSWERS)
    if not questions or not answers:
        return None
    pairs = [("user", questions[0]), ("agent", answers[0])]
    # A question comes before its answer. Of two sides, the one in the first column speaks first.
    are_sides = plain(questions[0]) in map(plain, known_names.VAGUE_QUESTIONS)
    turns = ", ".join(
        f"{{speaker: '{speaker}', text: {quote_name(name)}}}"
        for speaker, name in sorted(pairs, key=lambda pair: are_sides and names.index(pair[1]))
    )
    external_id = next((found[plain(name)] for name in known_names.IDS if plain(name) in found), None)
    return Layout(
        QUESTION_AND_ANSWER, "one question and its answer a row", "conversations",
        id=external_id and quote_name(external_id), turns=f"[{turns}]", turn={"speaker": "speaker", "text": "text"},
    )  # fmt: skip


def _match(known: _Known, names: Sequence[str], mapping: Mapping[str, str]) -> Columns:
    by_plain_name = {plain(name): name for name in reversed(names) if name not in mapping.values()}
    columns = {field: column for field, column in mapping.items() if field in known.names}
    for field, synonyms in known.names.items():
        found = (by_plain_name[name] for synonym in synonyms if (name := plain(synonym)) in by_plain_name)
        if field not in columns and (column := next(found, None)) is not None:
            columns[field] = column
    if {"inbound", "outbound"} & mapping.keys() and "speaker" not in mapping:
        columns.pop("speaker", None)
    return columns


def _refuse_twins(names: Sequence[str], columns: Columns) -> None:
    for field, column in columns.items():
        if names.count(column) > 1:
            raise SourceError(f"two columns are called {column!r}, which would be the {field}; rename one of them.")


def refuse_summaries(names: Sequence[str]) -> None:
    """Raises OwnFileError if the columns are those of summaries: their fields look like an export's."""
    if tuple(names[: len(_OF_SUMMARIES)]) == _OF_SUMMARIES:
        raise OwnFileError("these are summaries that aftercall wrote, not an export.")


def _refusal(names: Sequence[str], sentence: str) -> SourceError:
    refuse_summaries(names)
    return SourceError(sentence)


def unrecognised(names: Sequence[str], samples: Sequence[Mapping[str, Any]] = ()) -> str:
    """The sentence for columns that are none of a known export, with what to say about them."""
    known = "\n".join(f"  {shape.description}" for shape in reversed(_KNOWN))
    if len(names) == 1:
        return f"there is one column only, {_quoted(names)}. {_how_to_part(names[0])} Known are\n{known}"
    if proposed := propose_map(samples, [name for name in names if _typed(name) == name]):
        return (
            f"the columns {_quoted(names)} are not those of a support export that aftercall knows. Known are\n{known}\n"
            f"Say which column is which, for example --map {shlex.quote(proposed)}"
        )
    first, last = _typed(names[0]), _typed(names[-1]) if names[-1] != names[0] else "…"
    one_a_conversation, one_a_turn = f"id={first},transcript={last}", f"id={first},speaker=…,text={last}"
    return (
        f"the columns {_quoted(names)} are not those of a support export that aftercall knows. Known are\n{known}\n"
        "Say which column is which, for example "
        f"--map {shlex.quote(one_a_conversation)} or --map {shlex.quote(one_a_turn)}"
    )


def _how_to_part(name: str) -> str:
    """What to do about a header that is one column, most often because it was not taken apart."""
    marks = Counter(mark for mark in name if mark == "\t" or (mark.isprintable() and not mark.isalnum()))
    for mark, _ in marks.most_common():
        if mark not in _WITHIN_NAMES:
            told = "tab" if mark == "\t" else shlex.quote(mark)
            return f"If its cells are kept apart by another character, name it: --delimiter {told}."
    return "A conversation needs two at least: its id, and what was said."


def _typed(name: str) -> str:
    """A column's name for --map, as it is; no stranger's control characters, no whole file on one line, no comma."""
    return name if name.isprintable() and len(name) <= _MAX_SHOWN and "," not in name else "…"


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:_MAX_SHOWN]) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
