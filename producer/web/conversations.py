"""The page about one conversation, and the search."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from aftercall.conversation import Turn, parse_turns
from aftercall.fields import split_sentences
from aftercall.ledger import browse
from aftercall.ledger import search as search_index
from aftercall.ledger.browse import WrittenSummary
from producer.web.pages import NUM_ROWS, link, read_number, render, split_page
from producer.web.state import database_of


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a summary, and the turns that support it, numbered from 1."""

    text: str
    turns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A summary, with its sentences and its verdict's reasons."""

    written: WrittenSummary
    #: One sentence without turns where there is no evidence for each sentence.
    sentences: tuple[Sentence, ...]
    reasons: tuple[str, ...]
    generation: str


def show(request: Request) -> Response:
    """One conversation: its turns, its summaries with verdict and provenance, where else it is."""
    number: int = min(request.path_params["number"], 10**18)
    external_id = request.query_params.get("id", "")
    found = browse.conversation(database_of(request), number, external_id)
    return render(
        request,
        "conversation",
        title=f"Conversation {external_id}",
        found=found,
        turns=read_turns(found.text),
        summaries=[_show(written) for written in found.summaries],
    )


def read_turns(text: str) -> Sequence[Turn]:
    """The turns of a conversation; one turn if it is not written as turns."""
    try:
        return parse_turns(text)
    except ValueError:
        # Another cleaner version wrote it: shown as it is.
        return (Turn("user", text),)


def _show(written: WrittenSummary) -> Shown:
    record = written.record
    sentences = split_sentences(record.text)
    evidence = json.loads(record.evidence) if record.evidence else []
    if len(evidence) != len(sentences):
        sentences, evidence = [record.text], [[]]
    return Shown(
        written,
        tuple(Sentence(text, tuple(turns)) for text, turns in zip(sentences, evidence, strict=True)),
        tuple(json.loads(record.reasons)) if record.reasons else (),
        ", ".join(f"{name} {value}" for name, value in json.loads(record.generation).items()),
    )


def search(request: Request) -> Response:
    """Conversations by the caller's id or, with the index, by words."""
    words = request.query_params.get("q", "").strip()
    where = request.query_params.get("in", "id")
    before = read_number(request, "before")
    database = database_of(request)
    has_index = search_index.is_built(database)
    if where == "id" or not has_index:
        places, has_more = split_page(browse.find_id(database, words, before, NUM_ROWS + 1) if words else [])
        last = places[-1].submission_id if places else None
    else:
        scope = search_index.Scope.CONVERSATIONS if where == "conversations" else search_index.Scope.SUMMARIES
        matches, has_more = split_page(search_index.find(database, words, scope, before, NUM_ROWS + 1))
        places = browse.places_of_jobs(database, list(dict.fromkeys(match.job_id for match in matches)))
        last = matches[-1].key if matches else None
    return render(
        request,
        "search",
        title="Search",
        words=words,
        where=where if has_index else "id",
        has_index=has_index,
        places=places,
        more=link("/search", **{"q": words, "in": where, "before": last}) if has_more else None,
    )
