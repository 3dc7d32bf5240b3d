"""Small exports in many styles, each with the reading that a careful person would give it.

`tests/data/readings` holds them, one a line: `content` is a file called `name`, or `files` are a folder. What is
expected is `read`, a list of turns a conversation (`u:` the customer's, `a:` the agent's), or that it `is_refused`.
"""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aftercall.errors import SourceError
from producer.preparing import prepare_conversation
from producer.source import SourceOptions, SourceRow, open_source

DATA = Path(__file__).parents[1] / "data/readings"


def _load(name: str) -> list[Any]:
    cases = [json.loads(line) for line in (DATA / name).read_text("utf-8").split("\n") if line]
    seen: Counter[str] = Counter()
    numbered = []
    for case in cases:
        seen[case["kind"]] += 1
        numbered.append(pytest.param(case, id=f"{case['kind']} {seen[case['kind']]}"))
    return numbered


def _write(folder: Path, case: dict[str, Any]) -> Path:
    path = folder / case.get("name", "x.csv")
    for name, content in case.get("files", {}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, "utf-8")
    if "content" in case:
        path.write_bytes(case["content"].encode())
    elif "base64" in case:
        path.write_bytes(base64.b64decode(case["base64"]))
    return path


def _plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("case", [*_load("kinds.jsonl"), *_load("tools.jsonl")])
def test_it_is_read_right(tmp_path: Path, case: dict[str, Any]) -> None:
    path = _write(tmp_path, case)
    options = SourceOptions(**case.get("options", {}))
    if case.get("is_refused"):
        with pytest.raises(SourceError), open_source(str(path), options) as source:
            list(source)
        return
    with open_source(str(path), options) as source:
        outcomes = list(source)
    rows = [prepare_conversation(each.conversation, "off") for each in outcomes if isinstance(each, SourceRow)]
    turns = [[f"{turn.speaker[0]}:{_plain(turn.text)}" for turn in row.turns] for row in rows]
    assert turns == [list(map(_plain, conversation)) for conversation in case["read"]]
    assert len(outcomes) - len(rows) == case.get("num_rejected", 0)
    if "ids" in case:
        assert [row.external_id for row in rows] == case["ids"]
