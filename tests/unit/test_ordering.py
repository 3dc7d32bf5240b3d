"""The order in which things were said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.readers.raw import RawTurn
from producer.readers.timing.ordering import find_direction, order_turns
from producer.readers.timing.times import parse_time


def _order(*times: str, **options: bool | int) -> tuple[list[int], str]:
    turns = [RawTurn(str(number), time=parse_time(time)) for number, time in enumerate(times)]
    ordered, order = order_turns(turns, **options)  # type: ignore[arg-type]
    return [int(turn.text) for turn in ordered], order


@pytest.mark.parametrize(
    ("times", "places", "order"),
    [
        (["10", "20", "30"], [0, 1, 2], "time"),
        (["30", "20", "10"], [2, 1, 0], "time"),
        (["30", "10", "20"], [1, 2, 0], "time"),
        (["30", "20", "", "10"], [3, 2, 1, 0], "time"),
        (["10", "", "20"], [0, 1, 2], "time"),
        (["30", "", "10", "20"], [0, 1, 2, 3], "file, times incomplete"),
        (["30", "30", "10"], [2, 1, 0], "time"),
        (["10", "10"], [0, 1], "time"),
        (["", ""], [0, 1], "file"),
        (["10:02", "10:01", "10:00"], [2, 1, 0], "time"),
        (["23:59", "00:01", "00:03"], [0, 1, 2], "time"),
        (["00:01", "23:59"], [1, 0], "time"),
        (["12:58", "1:01", "1:03"], [0, 1, 2], "time"),
    ],
)
def test_order(times: list[str], places: list[int], order: str) -> None:
    assert _order(*times) == (places, order)


def test_unreadable_times_are_said() -> None:
    assert _order("soon", "later", num_unreadable=2) == ([0, 1], "file, times unreadable")


def test_the_file_decides_where_a_conversation_does_not_tell() -> None:
    assert _order("10:02", "10:02", newest_first=True) == ([1, 0], "time")
    assert find_direction([RawTurn("a", time=2.0), RawTurn("b", time=1.0)]) == "newest first"
    assert find_direction([RawTurn("a", time=2.0), RawTurn("b")]) is None


@given(st.lists(st.none() | st.floats(0, 1e10, allow_nan=False), max_size=12))
def test_no_turn_is_lost_and_a_newest_first_file_is_the_same_conversation(times: list[float | None]) -> None:
    turns = [RawTurn(str(number), time=time) for number, time in enumerate(times)]
    ordered, order = order_turns(turns)
    assert sorted(ordered, key=lambda turn: int(turn.text)) == turns
    known = [turn.time for turn in ordered if turn.time is not None]
    assert known == sorted(known) or order.startswith("file")


@given(st.lists(st.none() | st.integers(0, 10**9), min_size=3, max_size=12, unique_by=lambda time: time or object()))
def test_a_file_turned_over_reads_the_same(times: list[int | None]) -> None:
    known = iter(sorted(time for time in times if time is not None))
    turns = [RawTurn(str(n), time=None if time is None else float(next(known))) for n, time in enumerate(times)]
    if sum(time is not None for time in times) > 1:
        assert order_turns(turns[::-1])[0] == turns
