"""The parts of the report that need no ledger: drift, charts, reasons of rejected rows."""

from pathlib import Path

import pytest

from aftercall.ledger.history import Finished
from producer.report.charts import HEIGHT, draw
from producer.report.drift import Figure, compare
from producer.report.rejections import count_reasons


@pytest.mark.parametrize(
    ("value", "before", "is_drift"),
    [
        (0.10, [0.10, 0.12, 0.11], False),
        (0.30, [0.10, 0.12, 0.11], True),
        (0.12, [0.11, 0.11, 0.11], False),
        (0.25, [0.00, 0.20, 0.10], False),
        (0.14, [0.11, 0.11, 0.11], True),
        (0.90, [0.10, 0.12], None),
        (0.90, [], None),
    ],
)
def test_drift_is_a_plain_yes_or_no(value: float, before: list[float], is_drift: bool | None) -> None:
    assert compare(Figure("failed", value, min_change=0.02), before).is_drift is is_drift


def test_each_worker_has_its_lane_and_the_bars_hold_every_summary() -> None:
    finished = [Finished("a", period, 10, 100) for period in range(120)]
    finished += [Finished("b", period, 5, 50) for period in range(60)]
    drawn = draw(finished, span_s=7_200, fine_s=60)

    assert drawn.bar_s == 120
    assert sum(bar.count for bar in drawn.bars) == 1_500
    assert max(bar.height for bar in drawn.bars) == HEIGHT
    assert [(lane.worker, lane.num_summaries, lane.busy_s) for lane in drawn.lanes] == [
        ("a", 1_200, 7_200),
        ("b", 300, 3_600),
    ]
    assert drawn.busy_s == 10_800
    assert drawn.max_rate == pytest.approx(0.25)
    assert drawn.lanes[1].bars[-1].x < 960 / 2


def test_a_night_without_work_has_no_bars() -> None:
    assert draw([], span_s=0, fine_s=5).bars == ()


def test_reasons_of_one_kind_are_counted_together(tmp_path: Path) -> None:
    path = tmp_path / "night.csv.rejected.csv"
    path.write_text(
        "line,reason,id\n4,the transcript is empty,a\n5,id 'a' stands on line 1,a\n9,id 'b' stands on line 2,b\n"
    )
    assert count_reasons([path, tmp_path / "missing"]) == [
        ("id 'a' stands on line 1", 2),
        ("the transcript is empty", 1),
    ]
