"""`aftercall status` on an ordinary terminal: nothing that matters is lost at 80 columns."""

import itertools
import time

import pytest
from rich.console import Console

from aftercall.ledger.account import Account, SubmissionRecord
from aftercall.ledger.pace import Pace, Span
from producer import status
from producer.estimate import Estimate
from producer.standing import Standing, Standings

NOW = 1_780_000_000.0
BAD = Account(1_000_000, 123_456, 2_048, 800_000, 54_321, 10_000, 10_175)
FINE = Account(1_200, 0, 0, 1_200, 0, 0, 0)


def standings(*accounts: Account, num_rejected: int = 0) -> Standings:
    """Submissions with a long name each, the open ones late for their deadline."""
    pace = Pace(NOW, 2, 2, 10.0)
    lines = []
    for number, each in enumerate(accounts, 98):
        record = SubmissionRecord(
            number, f"support-export-2026-11-{number}.csv", num_rejected, NOW - 7_200, True, False
        )
        expected_at = NOW + 3_600 if each.open else None
        estimate = Estimate(None if each.open else NOW - 60, expected_at, NOW + 1_800, pace)
        lines.append(Standing(record, each, Span(NOW - 7_000, NOW, each.done, each.open), estimate))
    return Standings(tuple(lines), (), pace)


def show(shown: Standings, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal has, line by line."""
    console = Console(width=width, highlight=False, force_terminal=False)
    monkeypatch.setattr(status, "console", console)
    with console.capture() as capture:
        status.status(lambda: shown, is_watching=False)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_a_bad_morning_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = show(standings(FINE, BAD, num_rejected=4_711), width, monkeypatch)
    text = "\n".join(lines)

    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1:] if line[:2].strip()][:2] == ["98", "99"]
    assert "support-expo" in lines[1]
    for count in ("1,000,000", "123,456", "2,048", "800,000", "54,321", "10,000", "10,175", "4,711"):
        assert count in text, count
    assert "…" not in lines[0]
    assert "2 of 4 workers are down" in " ".join(text.split())


def test_a_usual_night_has_no_columns_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    header = show(standings(FINE), 80, monkeypatch)[0]
    assert header.split() == ["id", "source", "when", "submitted", "waiting", "done", "failed"]


def test_watching_a_ledger_takes_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[float, float]] = []

    def read() -> Standings:
        began = time.monotonic()
        time.sleep(0.02)
        looks.append((began, time.monotonic()))
        return standings(BAD if len(looks) < 4 else FINE)

    monkeypatch.setattr(status, "WATCH_INTERVAL_S", 0.0)
    status.status(read, is_watching=True)
    pauses = [after[0] - before[1] for before, after in itertools.pairwise(looks)]
    assert len(pauses) == 3
    assert min(pauses) >= 0.2
