"""Times in the ways exports write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.readers.timing.times import UNDATED_S, TimeReader, is_ambiguous, parse_time

_MOMENT = datetime(2025, 11, 20, 10, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-20T10:02:00Z",
        "2025-11-20 11:02:00 +0100",
        "11/20/2025 10:02 AM",
        "11/20/25, 10:02\u202fAM",
        "20.11.2025, 10:02:00",
        "20-Nov-2025 10:02",
        "Nov 20, 2025 10:02 a.m.",
        "November 20th, 2025 at 10:02am",
        "Thursday, November 20, 2025, 10:02:00 (+0000)",
        "Thu Nov 20 2025 11:02:00 GMT+0100 (Central European Standard Time)",
        "Thu, 20 Nov 2025 10:02:00 +0000",
        "2025-11-20 11:02 CET",
        "2025-11-20 11:02 Europe/Berlin",
        "11/20/2025 5:02 AM EST",
        "20. November 2025 um 10:02 Uhr",
        "20 novembre 2025 à 10h02",
        "20 de noviembre de 2025, 10:02 a. m.",
        "20 listopada 2025 10:02",
        "20 Kasım 2025 10:02",
        "20 ноября 2025 г. 10:02",
        "20 نوفمبر 2025 10:02 ص",
        "2025年11月20日 10:02",
        "2025/11/20 上午10:02",
        "2025. 11. 20. 오전 10:02",
        "20251120100200",
        "1763632920",
        "1763632920000",
        "1763632920000000",
    ],
)
def test_a_moment_is_read_however_it_is_written(text: str) -> None:
    assert parse_time(text) == _MOMENT


@pytest.mark.parametrize(
    ("text", "seconds"), [("10:02", 36_120), ("10:02 p.m.", 79_320), ("12:02 AM", 120), ("00:01:03", 63)]
)
def test_a_time_of_day_has_no_date(text: str, seconds: float) -> None:
    assert parse_time(text) == UNDATED_S + seconds


@pytest.mark.parametrize(("text", "seconds"), [("( 1m 3s )", 63), ("12s", 12), ("1h 2m 3s", 3723)])
def test_elapsed_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_the_numbers_of_a_spreadsheet_are_days() -> None:
    assert parse_time("45981.418056") == pytest.approx(_MOMENT, abs=1)


@pytest.mark.parametrize(
    "text", ["", "soon", "v1.2.3", "99:99", "31.02.2025", "20 Foo 2025", "2025-11-20 10:02 Mars/Base", "9" * 400]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None


def test_a_date_with_two_readings_is_not_guessed() -> None:
    assert parse_time("03/04/2025 10:02") is None
    assert is_ambiguous("03/04/2025 10:02")
    assert not is_ambiguous("13/04/2025 10:02")


@pytest.mark.parametrize(
    ("samples", "day_first", "is_guess"),
    [
        (["03/04/2025", "13/04/2025"], True, False),
        (["03/04/2025", "04/13/2025"], False, False),
        (["13/04/2025", "04/13/2025", "03/04/2025"], None, False),
        (["03/04/2025 10:02 AM"], False, True),
        (["3/4/2025 10:02"], False, True),
        (["03/04/2025 10:02"], True, True),
        (["2025-03-04", "20.11.2025"], None, False),
    ],
)
def test_the_column_decides_where_the_day_stands(samples: list[str], day_first: bool | None, is_guess: bool) -> None:
    reader = TimeReader(samples)
    assert (reader.day_first, reader.is_guess) == (day_first, is_guess)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.booleans())
def test_a_column_reads_back_what_was_written(moment: datetime, day_first: bool) -> None:
    form = "%d/%m/%Y %I:%M:%S %p" if day_first else "%m/%d/%Y %I:%M:%S %p"
    sample = "25/12/2025" if day_first else "12/25/2025"
    read = TimeReader([sample]).read(moment.strftime(form))
    assert read == moment.replace(microsecond=0, tzinfo=UTC).timestamp()


@given(st.text(max_size=100))
def test_any_text_is_a_time_or_none(text: str) -> None:
    time = parse_time(text)
    assert time is None or isinstance(time, float)
