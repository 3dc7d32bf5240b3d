"""JSON in all the shapes that programs write: the same conversations, however they are wrapped."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import SourceError
from producer.readers import documents
from producer.source import open_source
from tests.unit.sources import read, texts, write

_WORDS = st.text(st.characters(codec="ascii", categories=["L"]), max_size=8).map("said {}".format)
#: No row is there twice: those would count once.
_TURNS = st.lists(st.tuples(st.sampled_from(["customer", "agent"]), _WORDS), min_size=2, max_size=5).map(
    lambda said: [(role, f"{words} {number}") for number, (role, words) in enumerate(said)]
)
_WRAPPERS = ("conversations", "data", "results", "tickets", "items", "export")


def _turns(said: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"role": role, "text": words} for role, words in said]


def _conversation(number: int, said: list[tuple[str, str]]) -> dict[str, Any]:
    return {"id": f"c{number}", "subject": "x", "messages": _turns(said)}


def _expected(conversations: list[list[tuple[str, str]]]) -> list[str]:
    names = {"customer": "user", "agent": "agent"}
    return ["".join(f"{names[role]}: {words}\n" for role, words in said) for said in conversations]


def _write_shape(shape: str, wrapper: str, conversations: list[list[tuple[str, str]]]) -> str:
    items = [_conversation(number, said) for number, said in enumerate(conversations)]
    match shape:
        case "lines":
            return "\n".join(map(json.dumps, items))
        case "array":
            return json.dumps(items)
        case "printed array":
            return json.dumps(items, indent=2)
        case "printed objects":
            return "\n".join(json.dumps(item, indent=1) for item in items)
        case "wrapped":
            return json.dumps({"meta": {"page": 1}, wrapper: items}, indent=1)
        case "wrapped twice":
            return json.dumps({"response": {wrapper: items}})
        case "keyed":
            return json.dumps({item["id"]: {"messages": item["messages"]} for item in items})
        case "lists":
            return json.dumps([item["messages"] for item in items])
        case "turns":
            turns = [{"conversation_id": item["id"], **turn} for item in items for turn in item["messages"]]
            return json.dumps({wrapper: turns})
    raise AssertionError(shape)


@given(
    st.lists(_TURNS, min_size=2, max_size=6),
    st.sampled_from(_WRAPPERS),
    st.sampled_from(
        ["lines", "array", "printed array", "printed objects", "wrapped", "wrapped twice", "keyed", "lists", "turns"]
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_the_shape_makes_no_difference(
    conversations: list[list[tuple[str, str]]], wrapper: str, shape: str, encoding: str
) -> None:
    text = _write_shape(shape, wrapper, conversations)
    with tempfile.TemporaryDirectory() as folder:
        rows, rejected = read(write(Path(folder), text.encode(encoding), "export.json"))
    assert not rejected
    assert [row.conversation.text for row in rows] == _expected(conversations)
    ids = [row.conversation.external_id for row in rows]
    numbers = range(len(conversations))
    assert ids == (
        [str(number + 1) for number in numbers] if shape == "lists" else [f"c{number}" for number in numbers]
    )


def test_sibling_lists_are_read_one_after_the_other(tmp_path: Path) -> None:
    said = [("customer", "it broke"), ("agent", "since when")]
    splits = {"train": [_conversation(1, said)], "dev": [_conversation(2, said)], "test": [_conversation(3, said)]}
    rows, _ = read(write(tmp_path, json.dumps(splits), "all.json"))
    assert [row.conversation.external_id for row in rows] == ["c1", "c2", "c3"]


def test_a_list_of_turns_that_is_all_there_is_makes_one_conversation(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, json.dumps(_turns([("customer", "a"), ("agent", "b")])), "chat.json"))
    assert texts(rows) == {"1": "user: a\nagent: b\n"}


def test_a_document_that_breaks_off_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    items = [_conversation(number, [("customer", "a"), ("agent", "b")]) for number in range(50)]
    path = write(tmp_path, json.dumps(items, indent=1)[:-40], "cut.json")
    with pytest.raises(SourceError, match=r"cut\.json: the JSON is cut off or broken"):
        open_source(str(path))


def test_a_long_array_is_never_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MAX_WHOLE_BYTES", 1_000)
    items = [_conversation(number, [("customer", "a"), ("agent", "b")]) for number in range(200)]
    rows, rejected = read(write(tmp_path, json.dumps({"data": items}), "long.json"))
    assert (len(rows), rejected) == (200, [])
    whole = {"id": 1, "messages": [turn for item in items for turn in item["messages"]]}
    with pytest.raises(SourceError, match="one JSON object of more than"):
        read(write(tmp_path, json.dumps(whole), "one.json"))


def test_paths_can_be_told(tmp_path: Path) -> None:
    item = {"meta": {"case no": 5}, "log": [{"who": {"kind": "client"}, "said": {"plain": "it broke"}}] * 2}
    mapping = {"id": 'meta."case no"', "transcript": "log", "speaker": "who.kind", "text": "said.plain"}
    rows, _ = read(write(tmp_path, json.dumps([item]), "odd.json"), mapping=mapping)
    assert texts(rows) == {"5": "user: it broke\nuser: it broke\n"}


def test_a_told_path_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    item = _conversation(1, [("customer", "a"), ("agent", "b")])
    with pytest.raises(SourceError, match=r"--map names 'chat\.log', but the columns are 'id', 'subject', 'messages'"):
        read(write(tmp_path, json.dumps([item]), "x.json"), mapping={"transcript": "chat.log"})


def test_a_message_id_is_not_taken_for_the_conversations(tmp_path: Path) -> None:
    rows = "".join(f"{number},user,hello {number}\n" for number in range(8))
    with pytest.raises(SourceError, match=r"every row has another 'id'.*--map id=COLUMN"):
        read(write(tmp_path, f"id,role,text\n{rows}"))


def test_turns_that_do_not_say_who_speaks_are_refused(tmp_path: Path) -> None:
    item = {"id": 1, "messages": [{"text": "a"}, {"text": "b"}]}
    with pytest.raises(SourceError, match="none says who speaks"):
        read(write(tmp_path, json.dumps([item]), "x.json"))


@pytest.mark.parametrize(
    "cell",
    [
        '[{"role": "customer", "text": "it broke"}, {"role": "agent", "text": "since when?"}]',
        "[{'role': 'customer', 'text': 'it broke'}, {'role': 'agent', 'text': \"since when?\"}]",
        '{"messages": [{"role": "customer", "text": "it broke"}, {"role": "agent", "text": "since when?"}]}',
        '["Customer: it broke", "Agent: since when?"]',
        '[["customer", "it broke"], ["agent", "since when?"]]',
    ],
)
def test_a_list_in_a_cell_is_read(tmp_path: Path, cell: str) -> None:
    escaped = cell.replace('"', '""')
    rows, _ = read(write(tmp_path, f'id,transcript\n1,"{escaped}"\n'))
    assert {key: text.replace(":  ", ": ") for key, text in texts(rows).items()} == {
        "1": "user: it broke\nagent: since when?\n"
    }
