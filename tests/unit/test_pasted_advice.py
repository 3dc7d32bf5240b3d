"""What a message tells to type can be typed: each file is refused, and read after its messages were followed."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from producer.inspect_cli import inspect
from tests.unit.sources import to_csv, write

_ADVICE = re.compile(r"(--(?:map|agents|customers|delimiter|encoding|layout)) ('[^']*'|[^\s']+)")
_MAX_ROUNDS = 4
_HEATER, _ANSWER = "The heater leaks since Monday morning.", "We send a technician tomorrow at noon."
_NAMES = [("7", "Jo", _HEATER), ("7", "Maria", _ANSWER), ("8", "Pat", _HEATER), ("8", "Maria", _ANSWER)]
_TURNS = [{"wer": "Jo", "was": _HEATER}, {"wer": "Maria", "was": _ANSWER}]

FILES = {
    "strange columns of turns": to_csv([("vorgang", "wer", "was"), *_NAMES]),
    "strange columns of conversations": to_csv([("nr", "was"), ("7", f"user: {_HEATER}\nagent: {_ANSWER}")]),
    "columns with spaces": to_csv([("Vorgang Nr.", "wer da", "was war"), *_NAMES]),
    "an id of messages": to_csv(
        [
            ("id", "role", "text", "vorgang_nr"),
            *((str(n), "user" if n % 2 else "agent", _HEATER, str(n // 2)) for n in range(8)),
        ]
    ),
    "another delimiter": "conversation_id^transcript\n7^user: it broke\n",
    "names in a transcript": to_csv([("id", "transcript"), ("7", f"Jo: {_HEATER}\nMaria: {_ANSWER}")]),
    "addresses": to_csv([("id", "from", "text"), ("7", "+15550001", _HEATER), ("7", "+15550002", _ANSWER)]),
    "a name with quotes": to_csv(
        [("id", "speaker", "text"), ("7", 'Jo "the" O', _HEATER), ("7", "Maria, K.", _ANSWER)]
    ),
    "json with strange keys": json.dumps(
        [{"nr": 7, "messages": [{"x": "Jo", "text": _HEATER}, {"x": "Maria", "text": _ANSWER}]}]
    ),
    "json lines with strange keys": "".join(
        json.dumps({"vorgang": nr, "wer": who, "was": said}) + "\n" for nr, who, said in _NAMES
    ),
    "latin 1": "id,transcript\n7,user: die T\xfcr klemmt\x81 seit gestern\n".encode("latin-1"),
}


def _inspect(path: Path, options: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(inspect, [str(path), "--format", "jsonl", *options], standalone_mode=False)
    message = f"{result.stderr}\n{result.exception or ''}"
    return (1 if result.exception else int(result.return_value or 0)), message


@pytest.mark.parametrize("name", FILES)
def test_the_advice_is_followed_until_the_file_is_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, FILES[name], "export.json" if name.startswith("json") else "export.csv")
    options: list[str] = []
    code, message = _inspect(path, options)
    assert code, "nothing to be told"
    for _ in range(_MAX_ROUNDS):
        told = _ADVICE.search(message)
        assert told, message
        options += [told[1], *shlex.split(told[2].rstrip(".;,"))]
        code, message = _inspect(path, options)
        if not code:
            return
    pytest.fail(f"{options}: {message}")
