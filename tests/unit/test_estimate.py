"""When a submission ends, and what the sentence about its deadline says."""

from datetime import datetime

import click
import pytest

from aftercall.ledger.pace import Pace
from producer.estimate import Estimate, Verdict, expected_end
from producer.when import check_deadline, duration, next_deadline, parse_duration, to_utc

HOUR = 3_600.0
NOW = datetime(2026, 11, 28, 3, 0).timestamp()
DEADLINE = datetime(2026, 11, 28, 6, 0).timestamp()


def estimate(
    *, hours: float | None = None, ended: float | None = None, alive: int = 4, down: int = 0, now: float = NOW
) -> Estimate:
    """Of an open submission that will end so many hours from `NOW`, or of one that ended then."""
    pace = Pace(now, alive, down, rate=None if hours is None else 1.0)
    ended_at = None if ended is None else NOW + ended * HOUR
    expected_at = None if hours is None else NOW + hours * HOUR
    return Estimate(ended_at, expected_at, DEADLINE, pace)


@pytest.mark.parametrize(
    ("given", "verdict", "sentence"),
    [
        (estimate(hours=2.2), Verdict.ON_TIME, "done by 05:12, 48 minutes before the deadline"),
        (
            estimate(hours=3 + 35 / 60, alive=2, down=2),
            Verdict.LATE,
            "will miss the deadline by 35 minutes, done by 06:35: 2 of 4 workers are down",
        ),
        (estimate(hours=4), Verdict.LATE, "will miss the deadline by 60 minutes, done by 07:00"),
        (estimate(ended=2.2), Verdict.MET, "done at 05:12, 48 minutes before the deadline"),
        (estimate(ended=5), Verdict.MISSED, "done at 08:00, 2 hours after the deadline"),
        (
            estimate(hours=5, now=NOW + 4 * HOUR),
            Verdict.MISSED,
            "missed the deadline 60 minutes ago, done by 08:00",
        ),
        (
            estimate(alive=0, down=1, now=NOW + 4 * HOUR),
            Verdict.MISSED,
            "missed the deadline 60 minutes ago: 1 of 1 workers is down",
        ),
        (estimate(), Verdict.UNKNOWN, "no estimate: nothing was finished in the last 10 minutes"),
        (estimate(alive=0), Verdict.UNKNOWN, "no estimate: no worker is alive"),
    ],
)
def test_the_sentence_says_how_it_stands_to_the_deadline(given: Estimate, verdict: Verdict, sentence: str) -> None:
    assert given.verdict is verdict
    assert given.sentence == sentence


def test_the_end_is_expected_at_the_pace_of_those_alive() -> None:
    assert expected_end(3_600, Pace(NOW, 2, 0, rate=0.5)) == NOW + 2 * HOUR
    assert expected_end(3_600, Pace(NOW, 0, 2, rate=None)) is None


def test_a_time_of_the_day_is_the_next_one() -> None:
    assert next_deadline("06:00", NOW) == DEADLINE
    assert next_deadline("02:30", NOW) == datetime(2026, 11, 29, 2, 30).timestamp()
    assert next_deadline("2026-11-28T06:00", NOW) == DEADLINE


@pytest.mark.parametrize("words", ["25:00", "6", "soon", "06:61", ""])
def test_other_words_are_no_deadline(words: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a deadline"):
        check_deadline(words)


def test_durations_are_read_and_said() -> None:
    assert [parse_duration(words) for words in ("90s", "30m", "2h", "1d")] == [90, 1_800, 7_200, 86_400]
    assert [duration(seconds) for seconds in (1, 119, 120, 7_140, 7_200, 9_000)] == [
        "1 second",
        "119 seconds",
        "2 minutes",
        "119 minutes",
        "2 hours",
        "2 hours 30 minutes",
    ]
    with pytest.raises(click.BadParameter, match="is not a duration"):
        parse_duration("2 h")


def test_json_times_are_utc() -> None:
    assert to_utc(0.0) == "1970-01-01T00:00:00Z"
    assert to_utc(None) is None
