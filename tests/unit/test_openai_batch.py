"""Requests of OpenAI's Batch API as a source."""

import json
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from producer.source import Rejected, SourceOptions, SourceRow, open_source
from tests.unit.sources import write

SAID = "user: it broke\nagent: since when?\n"
TRANSCRIPT = "Customer: it broke\nAgent: since when?"


def request(custom_id: str, *messages: tuple[str, Any]) -> dict[str, Any]:
    """A line of a batch."""
    told = [{"role": role, "content": content} for role, content in messages]
    body = {"model": "gpt-5-mini", "messages": told, "max_completion_tokens": 120}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def read(folder: Path, *requests: dict[str, Any]) -> list[SourceRow | Rejected]:
    lines = "".join(f"{json.dumps(each)}\n" for each in requests)
    with open_source(str(write(folder, lines, "batch.jsonl"))) as source:
        assert source.layout.name == "openai-batch"
        return list(source)


def said(row: SourceRow | Rejected) -> tuple[str, str]:
    """Id and text, with single spaces: nothing is cleaned here."""
    assert isinstance(row, SourceRow)
    return row.conversation.external_id, row.conversation.text.replace(":  ", ": ")


PROMPTS = {
    "the transcript alone": TRANSCRIPT,
    "a request above": f"Summarize the following support conversation in two sentences:\n\n{TRANSCRIPT}",
    "a request of several lines": f"You write notes.\nRules:\n- be brief\n- invent nothing\n\n{TRANSCRIPT}",
    "a title": f"Summarize.\n\nCustomer support conversation:\n{TRANSCRIPT}\n\nSummary:",
    "tags": f"Summarize what is in the tags.\n<conversation>\n{TRANSCRIPT}\n</conversation>",
    "quotes": f'Summarize:\n"""\n{TRANSCRIPT}\n"""',
    "a fence": f"Summarize:\n```\n{TRANSCRIPT}\n```\n\n**Summary:**",
    "parts": [{"type": "text", "text": "Summarize:"}, {"type": "text", "text": TRANSCRIPT}],
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=list(PROMPTS))
def test_a_transcript_in_a_prompt_is_read_without_the_request(tmp_path: Path, prompt: Any) -> None:
    told = request("t-1", ("system", "You summarize support conversations."), ("user", prompt))
    row, other = read(tmp_path, told, request("t-2", ("user", prompt)))
    assert said(row) == ("t-1", SAID)
    assert said(other) == ("t-2", SAID)


def test_names_in_a_prompt_are_speakers_if_they_speak_twice(tmp_path: Path) -> None:
    prompt = "Note: be brief.\nMaria: it broke\nTom: since when?\nMaria: since today\nTom: a new one is on its way"
    lines = json.dumps(request("a", ("user", prompt)))
    with open_source(str(write(tmp_path, f"{lines}\n", "batch.jsonl")), SourceOptions(agents="Tom")) as source:
        (row,) = source
        assert source.account.dropped["events"] == 1
    assert said(row)[1].startswith(f"{SAID}user: since today\n")


def test_messages_of_both_sides_are_the_conversation(tmp_path: Path) -> None:
    (row,) = read(
        tmp_path, request("a", ("developer", "Summarize."), ("user", "it broke"), ("assistant", "since when?"))
    )
    assert said(row) == ("a", SAID)


def test_a_request_that_holds_no_conversation_is_rejected_alone(tmp_path: Path) -> None:
    embedding = {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"input": "words"}}
    good = request("a", ("user", TRANSCRIPT))
    rows = read(tmp_path, good, request("b", ("user", "Write a poem about kettles.")), embedding)
    assert [type(row) for row in rows] == [SourceRow, Rejected, Rejected]
    assert isinstance(rows[1], Rejected)
    assert "expected a speaker" in rows[1].reason


def test_the_output_of_a_batch_is_no_source(tmp_path: Path) -> None:
    line = {"id": "batch_req_1", "custom_id": "a", "response": None, "error": {"code": "x", "message": "y"}}
    with pytest.raises(SourceError):
        open_source(str(write(tmp_path, json.dumps(line) + "\n" + json.dumps(line), "out.jsonl")))
