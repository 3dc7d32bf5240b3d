"""JSON Lines of every shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from producer.source import Rejected, open_source
from tests.unit.sources import read, texts, write

_VALIDATION = Path(__file__).parents[2] / "../shared/data/tweetsumm/validation.jsonl"


def _read(folder: Path, *items: Any, **options: Any) -> tuple[dict[str, str], list[Rejected]]:
    lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
    rows, rejected = read(write(folder, "\n".join(lines), "export.jsonl"), **options)
    return texts(rows), rejected


_EXPECTED = {"1": "user: it broke\nagent: since when?\n"}


@pytest.mark.parametrize(
    "item",
    [
        {"id": "1", "transcript": "user:it broke\nagent:since when?"},
        {"id": 1, "turns": [{"speaker": "customer", "text": "it broke"}, {"speaker": "rep", "text": "since when?"}]},
        {"id": "1", "messages": [{"role": "user", "content": "it broke"}, {"role": "bot", "content": "since when?"}]},
        {"id": "1", "messages": [{"inbound": True, "body": "it broke"}, {"inbound": False, "body": "since when?"}]},
        {"id": "1", "dialogue": ["user:it broke", "agent:since when?"]},
        {"new dialog id": "1", "log": [{"turn id": 1, "user utterance": "it broke", "system response": "since when?"}]},
        {"original dialog id": "1", "log": [{"user utterance": "it broke", "system response": "since when?"}]},
    ],
)  # fmt: skip
def test_a_conversation_a_line(tmp_path: Path, item: dict[str, Any]) -> None:
    assert _read(tmp_path, item) == (_EXPECTED, [])


def test_a_turn_a_line(tmp_path: Path) -> None:
    second = {"conversation_id": 1, "role": "agent", "text": "since when?", "timestamp": 1700000001}
    first = {"conversation_id": 1, "role": "user", "text": "it broke", "timestamp": 1700000000.5}
    assert _read(tmp_path, second, first) == (_EXPECTED, [])


def test_a_tweet_a_line(tmp_path: Path) -> None:
    first = {"tweet_id": 1, "author_id": "ann", "inbound": True, "text": "it broke", "in_response_to_tweet_id": None}
    second = {"tweet_id": 2, "author_id": "shop", "inbound": False, "text": "since when?", "in_response_to_tweet_id": 1}
    assert _read(tmp_path, second, first) == (_EXPECTED, [])


def test_keys_can_be_told(tmp_path: Path) -> None:
    item = {"nr": 1, "said": ["user:it broke", "agent:since when?"]}
    assert _read(tmp_path, item, mapping={"id": "nr", "transcript": "said"}) == (_EXPECTED, [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "2", "transcript":', "no valid JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('{"id": "2"}', "empty"),
        ('{"transcript": "user: hi"}', "no id"),
        ('{"id": ["2"], "transcript": "user: hi"}', "no id"),
        ('{"id": "\\ud800", "transcript": "user: hi"}', "not printable"),
        ('{"id": "2", "transcript": {"user": "hi"}}', "is an object"),
        ('{"id": "2", "transcript": [3]}', "expected an object with speaker and text"),
        ('{"id": "2", "transcript": [{"text": "hi"}]}', "expected one of speaker, role"),
        ('{"id": "2", "transcript": [{"role": "user", "text": true}]}', "empty"),
        ('{"id": "2", "transcript": [{"role": "alien", "text": "hi"}]}', "whether 'alien' is a customer or an agent"),
        ('{"id": "2", "transcript": []}', "empty"),
        ("[" * 100_000, "no valid JSON"),
        ('{"id": 1' + "0" * 5_000 + "}", "no valid JSON"),
    ],
)
def test_a_bad_line_is_rejected_alone(tmp_path: Path, line: str, words: str) -> None:
    found, (rejected,) = _read(tmp_path, {"id": "1", "transcript": "user:it broke\nagent:since when?"}, "", line)
    assert found == _EXPECTED
    assert rejected.line == 3
    assert rejected.row == (line,)
    assert words in rejected.reason


def test_a_broken_first_line_does_not_hide_the_others(tmp_path: Path) -> None:
    found, (rejected,) = _read(tmp_path, '{"id": ', {"id": 1, "transcript": "user:it broke\nagent:since when?"})
    assert found == _EXPECTED
    assert rejected.line == 1


def test_a_lone_surrogate_is_read(tmp_path: Path) -> None:
    line = '{"conversation_id": "1", "role": "user", "text": "half \\ud83d"}'
    found, rejected = _read(tmp_path, line, '{"conversation_id": "1", "role": "agent", "text": "whole"}')
    assert found == {"1": "user: half \ud83d\nagent: whole\n"}
    assert not rejected


@pytest.mark.skipif(not _VALIDATION.exists(), reason="the TweetSumm rows lie beside the project, not in it")
def test_real_dialogstudio_rows() -> None:
    with open_source(str(_VALIDATION)) as source:
        assert source.shape == "conversations"
        assert source.columns == ("json",)
    rows, rejected = read(_VALIDATION)
    assert not rejected
    assert len(rows) == 108
    assert rows[0].conversation.external_id == "TweetSumm--validation--1"
    assert [turn.speaker for turn in rows[0].conversation.turns] == ["user", "agent"] * 4
