"""Sources in which a row is a tweet."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.readers import tweets as tweets_module
from producer.source import Rejected
from tests.unit.sources import read, read_text, texts, to_csv

_HEADER = ["tweet_id", "author_id", "inbound", "created_at", "text", "response_tweet_id", "in_response_to_tweet_id"]
_TWCS = Path(__file__).parents[2] / "../shared/data/exports/twcs_3000.csv"


def _row(tweet_id: str, parent: str, author: str = "ann", minute: int | None = None) -> list[str]:
    minute = int(float(tweet_id)) if minute is None else minute
    created_at = f"Tue Oct 31 22:{minute:02}:00 +0000 2017"
    return [tweet_id, author, str(author != "shop"), created_at, f"said {tweet_id}", "", parent]


def _read(folder: Path, *rows: list[str]) -> tuple[dict[str, str], list[Rejected]]:
    found, rejected = read_text(folder, to_csv([_HEADER, *rows]))
    return texts(found), rejected


def test_a_thread_is_rebuilt_from_its_replies(tmp_path: Path) -> None:
    found, _ = _read(tmp_path, _row("3", "2"), _row("8", "", "bob"), _row("2", "1", "shop"), _row("1", ""))
    assert found == {"1": "user: said 1\nagent: said 2\nuser: said 3\n", "8": "user: said 8\n"}


def test_threads_come_in_the_order_in_which_they_appear(tmp_path: Path) -> None:
    found, _ = read_text(
        tmp_path, to_csv([_HEADER, _row("9", "8"), _row("1", ""), _row("8", "", "shop"), _row("2", "1")])
    )
    assert [(row.line, row.conversation.external_id) for row in found] == [(2, "8"), (3, "1")]


def test_replies_to_a_missing_tweet_are_a_thread(tmp_path: Path) -> None:
    found, _ = _read(tmp_path, _row("5", "4", "shop"), _row("6", "5"))
    assert found == {"5": "agent: said 5\nuser: said 6\n"}


def test_a_circle_is_cut_at_its_earliest_tweet(tmp_path: Path) -> None:
    circle = [_row("1", "3"), _row("2", "1", "shop"), _row("3", "2", minute=30), _row("4", "3", "shop"), _row("7", "7")]
    found, rejected = _read(tmp_path, *circle)
    assert found == {"1": "user: said 1\nagent: said 2\nuser: said 3\nagent: said 4\n", "7": "user: said 7\n"}
    assert not rejected


def test_ids_that_pandas_turned_to_floats_still_meet(tmp_path: Path) -> None:
    found, _ = _read(tmp_path, _row("2", "1.0", "shop"), _row("1", ""))
    assert found == {"1": "user: said 1\nagent: said 2\n"}


def test_bad_rows_are_rejected_alone(tmp_path: Path) -> None:
    no_flag = _row("4", "1")
    no_flag[2] = "perhaps"
    found, rejected = _read(tmp_path, _row("1", ""), _row("1", "", "bob"), no_flag, ["9"], _row("2", "1", "shop"))
    assert found == {"1": "user: said 1\nagent: said 2\n"}
    assert [row.line for row in rejected] == [3, 4, 5]
    assert "stands in an earlier row" in rejected[0].reason
    assert rejected[1].row == tuple(no_flag)


def test_a_tree_too_large_to_hold_is_rejected_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tweets_module, "MAX_TREE_TWEETS", 3)
    found, rejected = _read(tmp_path, *(_row(str(n), str(n - 1)) for n in range(1, 6)), _row("9", ""))
    assert found == {"9": "user: said 9\n"}
    assert [row.line for row in rejected] == [2, 3, 4, 5, 6]


@given(st.data())
def test_every_row_is_in_a_conversation_whatever_answers_what(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ids = st.integers(1, 12)
    rows = data.draw(
        st.lists(st.builds(_row, ids.map(str), ids.map(str), st.sampled_from(["ann", "bob", "shop"])), min_size=1)
    )
    found, rejected = _read(tmp_path_factory.mktemp("tweets"), *rows)
    said = {line.partition(": ")[2] for text in found.values() for line in text.splitlines()}
    assert said == {row[4] for row in rows}
    assert len(rejected) == len(rows) - len(said)


@pytest.mark.skipif(not _TWCS.exists(), reason="the TWCS export lies beside the project, not in it")
def test_the_real_export() -> None:
    found, rejected = read(_TWCS)
    assert not rejected
    assert len(found) == 802
    assert len({row.conversation.external_id for row in found}) == 802
    assert sum(len(row.conversation.turns) for row in found) == 3_013
    assert found[0].line == 2
    assert texts(found[:1])["8"].startswith("user: @sprintcare is the worst customer service\nagent: @115712 Can you")
