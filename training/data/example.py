"""One labelled conversation, cleaned by the producer's functions so that training sees the text that serving does."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aftercall.conversation import Conversation, Turn
from aftercall.errors import SourceError
from aftercall.redaction import Mode, redact_with_texts
from producer.clean import clean_turns
from training.data.service import Labels, read_service_row


@dataclass(frozen=True, slots=True)
class Pair:
    """Two summaries of one conversation, of which a person prefers the first."""

    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Example:
    """One cleaned conversation and its reference summaries."""

    conversation: Conversation
    #: One summary per annotator; at least one.
    references: tuple[str, ...]
    #: The fields that a person filled in; None where the data has none.
    labels: Labels | None = None
    #: What people preferred to what; empty where the data has no preferences.
    pairs: tuple[Pair, ...] = ()

    @property
    def text(self) -> str:
        """The conversation as it appears in the prompt."""
        return self.conversation.text


def example_from_dialogstudio(row: Mapping[str, Any]) -> Example:
    """One row with DialogStudio's columns: the `log` of utterances, and the summaries inside `original dialog info`.

    Raises SourceError if it is not such a row, or has no conversation or no summary in it.
    """
    try:
        info = json.loads(row["original dialog info"])
        summaries = [_join_sentences(summary) for summary in _list(info["summaries"]["abstractive_summaries"])]
        turns = [turn for entry in row["log"] for turn in _turns_of_entry(entry)]
        name = str(row["original dialog id"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"not a DialogStudio row ({error!r}); expected the columns 'original dialog id', 'log' and "
            "'original dialog info' with its 'summaries'"
        ) from error
    return make_example(name, turns, summaries)


def example_from_service(row: Mapping[str, Any]) -> Example:
    """One row of service labels, with its fields; SourceError says what keeps it from being one."""
    read = read_service_row(row)
    return replace(make_example(read.name, read.turns, read.references), labels=read.labels)


def _turns_of_entry(entry: Mapping[str, Any]) -> tuple[Turn, Turn]:
    return Turn("user", _text(entry["user utterance"])), Turn("agent", _text(entry["system response"]))


def _join_sentences(summary: Any) -> str:
    return " ".join(map(_text, _list(summary)))


def _list(value: Any) -> Any:
    """The value, or a string as a list of one; iterating over the string itself would give its letters."""
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def make_example(name: str, turns: Iterable[Turn], references: Iterable[str]) -> Example:
    """An example of uncleaned turns and references; SourceError says what keeps it from being one."""
    conversation = Conversation(name, clean_turns(turns))
    spoken = tuple(text for reference in references if (text := " ".join(reference.split())))
    if not conversation.turns:
        raise SourceError("the conversation is empty once cleaned; remove the row")
    if not spoken:
        raise SourceError("a conversation without a summary; add one or remove the row")
    if any(reference == " ".join(conversation.text.split()) for reference in spoken):
        raise SourceError("the summary is the conversation itself; write a summary or remove the row")
    return Example(conversation, spoken)


def redact_example(example: Example, redact: Mode) -> Example:
    """The example as serving redacts conversations; references and fields have the conversation's placeholders."""
    labels = example.labels
    told = (labels.issue, labels.action, labels.follow_up) if labels else ()
    paired = [text for pair in example.pairs for text in (pair.chosen, pair.rejected)]
    turns, texts = redact_with_texts(example.conversation.turns, (*example.references, *told, *paired), redact)
    rest = iter(texts[len(example.references) :])
    if labels:
        labels = replace(labels, issue=next(rest), action=next(rest), follow_up=next(rest))
    pairs = tuple(Pair(chosen, rejected) for chosen, rejected in zip(rest, rest, strict=True))
    references = texts[: len(example.references)]
    return Example(Conversation(example.conversation.external_id, turns), references, labels, pairs)
