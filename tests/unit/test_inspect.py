"""`aftercall inspect`, the account of how a source was read, and the warnings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.database import connect, reading
from aftercall.models import Submission
from producer import batches
from producer.batches import read_batches
from producer.source import open_source
from tests.fixtures.command import Answer

NOTES = (
    "ticket_id,author_role,public,body\n"
    "1,end-user,True,my router keeps rebooting since Friday\n"
    "1,agent,False,do not tell the customer\n"
    "1,agent,True,a new one is on its way to you\n"
)
ONE_SIDED = "id,role,text\n" + "".join(f"{number},customer,where is my order please\n" for number in (1, 1, 2, 2, 3, 3))


def test_jsonl_is_for_scripts(aftercall: Callable[..., Answer]) -> None:
    Path("a.csv").write_text(f"{NOTES},agent,True,lost\n")
    answer = aftercall("inspect", "a.csv", "--format", "jsonl")
    assert answer.exit_code == 4
    (line,) = answer.output.splitlines()
    assert json.loads(line) == {
        "id": "1",
        "turns": [
            {"speaker": "user", "text": "my router keeps rebooting since Friday"},
            {"speaker": "agent", "text": "a new one is on its way to you"},
        ],
    }
    assert json.loads(answer.errors.splitlines()[-1]) == {"conversations": 1, "rejected": 1, "redacted": {}}
    assert "line 5: no id" in answer.errors
    assert not Path("a.csv.rejected.csv").exists()


def test_text_is_for_people(aftercall: Callable[..., Answer]) -> None:
    Path("a.csv").write_text(NOTES)
    answer = aftercall("inspect", "a.csv")
    assert answer.exit_code == 0
    assert "conversations 1" in answer.output
    assert "1 customer, 1 agent" in answer.output
    assert "dropped       1 note" in answer.output
    assert "(note): do not tell the customer" in answer.output
    assert "> agent: a new one is on its way to you" in answer.output
    assert max(map(len, answer.output.splitlines())) <= 80


def test_what_a_folder_holds_beside_conversations_takes_a_sentence(aftercall: Callable[..., Answer]) -> None:
    Path("slack").mkdir()
    Path("slack/users.json").write_text(json.dumps([{"id": "U1", "name": "jo"}]))
    Path("slack/notes.csv").write_text(NOTES)
    output = " ".join(aftercall("inspect", "slack").output.split())
    assert "passed over slack/users.json: the columns 'id', 'name' are not those of a support export that" in output
    assert "slack/users.json: slack/users.json" not in output
    assert "Known are" not in output


def test_a_conversation_in_which_nobody_speaks_says_so(aftercall: Callable[..., Answer]) -> None:
    Path("a.csv").write_text(NOTES + "2,agent,False,do not call back\n")
    answer = aftercall("inspect", "a.csv")
    assert answer.exit_code == 4
    assert "line 5: nobody speaks in the conversation: it holds notes" in " ".join(answer.output.split())


def test_names_are_said_with_how_their_side_was_decided(aftercall: Callable[..., Answer]) -> None:
    Path("a.csv").write_text('id,transcript\n1,"Ann: it broke again today\nMaria: since when is that?"\n')
    answer = aftercall("inspect", "a.csv", "--agents", "maria,nobody*")
    assert "told by --agents" in answer.output
    assert "nobody in the source is called 'nobody*'" in answer.output


def test_a_layout_is_saved_and_reads_the_same(aftercall: Callable[..., Answer]) -> None:
    Path("a.json").write_text(json.dumps([{"nr": {"id": 1}, "log": [{"author": {"role": "user"}, "msg": "it broke"}]}]))
    told = ("--map", "id=nr.id,transcript=log")
    first = aftercall("inspect", "a.json", *told, "--format", "jsonl", "--save-layout", "my.toml")
    assert aftercall("inspect", "a.json", "--layout", "my.toml", "--format", "jsonl").output == first.output
    assert "there already" in aftercall("inspect", "a.json", *told, "--save-layout", "my.toml").errors


@pytest.mark.parametrize("command", [("submit",), ("submit", "--dry-run"), ("inspect",)])
def test_doubt_is_said_and_refused_if_told_so(aftercall: Callable[..., Answer], command: tuple[str, ...]) -> None:
    Path("a.csv").write_text(ONE_SIDED)
    said = aftercall(*command, "a.csv")
    assert "every turn is the customer's" in " ".join(said.output.split())
    refused = aftercall(*command, "a.csv", "--strict")
    assert refused.exit_code == 3
    assert "as --strict asks" in refused.errors
    assert aftercall("inspect", "a.csv", "--strict", "--format", "jsonl").output == ""


def test_every_conversation_of_one_turn_is_a_warning(aftercall: Callable[..., Answer]) -> None:
    rows = "".join(f"m{number},{('customer', 'agent')[number % 2]},text {number}\n" for number in range(6))
    Path("a.csv").write_text(f"ticket_id,role,text\n{rows}")
    assert "every conversation is one turn long" in " ".join(aftercall("inspect", "a.csv").output.split())


def test_how_a_source_was_read_is_kept_with_its_submission(aftercall: Callable[..., Answer]) -> None:
    Path("a.csv").write_text(NOTES)
    answer = aftercall("submit", "a.csv")
    assert "dropped: 1 note" in answer.output
    database = connect("sqlite:///aftercall-data/aftercall.db")
    with reading(database) as connection:
        (kept,) = connection.execute(Submission.__table__.select()).all()
    database.dispose()
    assert json.loads(kept.reading)["dropped"] == {"notes": 1}
    assert json.loads(kept.reading)["layout"] == "turns"


def test_a_second_process_that_reads_hands_its_account_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text(NOTES)
    monkeypatch.setattr(batches, "READ_AHEAD_BYTES", 0)
    with open_source(str(path)) as source:
        list(read_batches(source))
        assert source.account.num_conversations == 1
        assert source.account.dropped["notes"] == 1
