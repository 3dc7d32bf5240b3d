"""Exports of help desks, a small one a tool: who speaks, what is dropped, in which order."""

import json
from pathlib import Path
from typing import Any

import pytest

from producer.source import SourceOptions, open_source
from tests.unit.sources import write

SAID = "user: it broke\nagent: since when?\n"


def _chatwoot(sender: str | None, content: str, kind: int, private: bool = False) -> dict[str, Any]:
    return {"conversation_id": 4, "sender_type": sender, "content": content, "message_type": kind, "private": private}


def _thread(kind: str, by: str, body: str, minute: int) -> dict[str, Any]:
    created = f"2026-11-20T10:0{minute}:00Z"
    return {"type": kind, "createdBy": {"type": by}, "body": f"<p>{body}</p>", "createdAt": created}


def _crisp(by: str, content: Any, kind: str = "text") -> dict[str, Any]:
    return {"session_id": "s1", "fingerprint": 1, "from": by, "content": content, "type": kind}


def _freshchat(actor: str, text: str, kind: str = "normal") -> dict[str, Any]:
    parts = [{"text": {"content": text}}]
    return {"conversation_id": "f1", "message_parts": parts, "actor_type": actor, "message_type": kind}


EXPORTS = {
    # A User is one of the company's in Chatwoot and in Help Scout.
    "chatwoot": {
        "payload": [
            _chatwoot("Contact", "it broke", 0),
            _chatwoot(None, "assigned", 2),
            _chatwoot("User", "a note", 1, True),
            _chatwoot("User", "since when?", 1),
        ]
    },
    "helpscout": {
        "_embedded": {
            "conversations": [
                {
                    "id": 4,
                    "_embedded": {
                        "threads": [
                            _thread("message", "user", "since when?", 5),
                            _thread("note", "user", "a note", 4),
                            _thread("lineitem", "user", "assigned", 3),
                            _thread("customer", "customer", "it broke", 1),
                        ]
                    },
                }
            ]
        }
    },
    "crisp": [
        _crisp("user", "it broke"),
        _crisp("user", {"name": "a.png", "url": "https://x.example/a.png"}, "file"),
        _crisp("operator", "a note", "note"),
        _crisp("operator", "since when?"),
    ],
    "freshchat": {
        "messages": [
            _freshchat("user", "it broke"),
            _freshchat("agent", "a note", "private"),
            _freshchat("system", "assigned"),
            _freshchat("agent", "since when?"),
        ]
    },
    "genesys-transcripts": {
        "conversationId": "g1",
        "transcripts": [
            {
                "phrases": [
                    {"text": "it broke", "participantPurpose": "external", "startTimeMs": 1},
                    {"text": "since when?", "participantPurpose": "internal", "startTimeMs": 2},
                ]
            }
        ],
    },
    "zendesk-chat": [
        {
            "id": "z1",
            "visitor": {"name": "Ann"},
            "history": [
                {"type": "chat.memberjoin", "nick": "visitor"},
                {"type": "chat.msg", "nick": "visitor", "sender_type": "Visitor", "msg": "it broke"},
                {"type": "chat.msg", "nick": "agent:1", "sender_type": "Agent", "msg": "since when?"},
            ],
        }
    ],
    "ccai-insights": {
        "conversations": [
            {
                "name": "projects/p/conversations/1",
                "transcript": {
                    "transcriptSegments": [
                        {"text": "it broke", "segmentParticipant": {"role": "END_USER"}},
                        {"text": "since when?", "segmentParticipant": {"role": "HUMAN_AGENT"}},
                    ]
                },
            }
        ]
    },
    "openai-messages": [
        {
            "messages": [
                {"role": "system", "content": "You are Robo."},
                {"role": "user", "content": [{"type": "text", "text": "it broke"}, {"type": "image_url"}]},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "{}"},
                {"role": "assistant", "content": "since when?"},
            ]
        }
    ],
    # A batch of one request is a document of one object.
    "openai-batch": {
        "custom_id": "r1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-5-mini",
            "messages": [
                {"role": "system", "content": "Summarize."},
                {"role": "user", "content": "it broke"},
                {"role": "assistant", "content": "since when?"},
            ],
        },
    },
    "livechat": {
        "chats": [
            {
                "id": "L1",
                "users": [{"id": "a", "type": "agent"}, {"id": "c", "type": "customer"}],
                "thread": {
                    "id": "T1",
                    "events": [
                        {"type": "message", "author_id": "c", "text": "it broke", "visibility": "all"},
                        {"type": "message", "author_id": "a", "text": "a note", "visibility": "agents"},
                        {"type": "system_message", "text": "assigned"},
                        {"type": "message", "author_id": "a", "text": "since when?", "visibility": "all"},
                    ],
                },
            }
        ]
    },
}


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_without_a_word(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, json.dumps(EXPORTS[name], indent=1), f"{name}.json")
    with open_source(str(path)) as source:
        (row,) = source
        assert source.layout.name == name
    assert row.conversation.text == SAID


@pytest.mark.parametrize("name", ["chatwoot", "helpscout", "crisp", "freshchat", "livechat"])
def test_notes_are_counted_and_kept_if_told_so(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, json.dumps(EXPORTS[name]), f"{name}.json")
    with open_source(str(path)) as source:
        list(source)
        assert source.account.dropped["notes"] == 1
    with open_source(str(path), SourceOptions(keep_notes=True)) as source:
        (row,) = source
        assert "agent: a note\n" in row.conversation.text
        assert not source.account.dropped["notes"]


def test_messages_of_a_channel_go_on_in_the_next_file(tmp_path: Path) -> None:
    """Slack writes a file a day, and a thread may last longer."""
    first = {"type": "message", "user": "U1", "text": "it broke", "ts": "1763636531.1", "thread_ts": "1763636531.1"}
    second = {**first, "user": "U2", "text": "since when?", "ts": "1763722931.1"}
    write(tmp_path, json.dumps([first]), "2025-11-20.json")
    write(tmp_path, json.dumps([second]), "2025-11-21.json")
    with open_source(str(tmp_path), SourceOptions(agents="U2")) as source:
        (row,) = source
    assert row.conversation.text == SAID


def test_a_file_that_is_nothing_to_read_is_passed_over_and_said(tmp_path: Path) -> None:
    write(tmp_path, "id,transcript\n1,Customer: hello there\n", "a.csv")
    write(tmp_path, json.dumps([{"id": "U1", "name": "ann"}]), "users.json")
    with open_source(str(tmp_path)) as source:
        assert len(list(source)) == 1
        ((name, reason),) = source.account.passed_over
    assert name.endswith("users.json")
    assert "not those of a support export" in reason


def test_rows_that_are_there_twice_count_once(tmp_path: Path) -> None:
    rows = "1,user,hello,2026-11-20\n1,agent,hi,2026-11-21\n"
    with open_source(str(write(tmp_path, f"ticket_id,role,text,time\n{rows}{rows}"))) as source:
        (row,) = source
        assert source.account.dropped["repeated rows"] == 2
    assert row.conversation.text == "user: hello\nagent: hi\n"
