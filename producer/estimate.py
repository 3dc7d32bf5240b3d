"""When a submission ends, and what that means for its deadline: as numbers and as a sentence. Pure arithmetic."""

from dataclasses import dataclass
from enum import StrEnum

from aftercall.ledger.pace import RECENT_S, Pace
from producer.when import clock, duration


class Verdict(StrEnum):
    """How a submission stands to its deadline."""

    #: Ended before it.
    MET = "met"
    #: Ended after it, or is still open and it has passed.
    MISSED = "missed"
    #: Will end before it, by the estimate.
    ON_TIME = "on_time"
    #: Will end after it, by the estimate.
    LATE = "late"
    #: No estimate can be made.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a submission ended or will end. Times are seconds since the epoch."""

    #: When it ended; None: it is open.
    ended_at: float | None
    #: When it will end at the pace of the last minutes; None: it has ended, or no estimate can be made.
    expected_at: float | None
    deadline_at: float | None
    pace: Pace

    @property
    def end_at(self) -> float | None:
        """The end, known or expected."""
        return self.expected_at if self.ended_at is None else self.ended_at

    @property
    def slack_s(self) -> float | None:
        """Seconds between the end and the deadline; negative: too late. None without a deadline or an end."""
        if self.deadline_at is None:
            return None
        if self.end_at is not None:
            return self.deadline_at - self.end_at
        return self.deadline_at - self.pace.at if self.has_passed else None

    @property
    def has_passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline_at is not None and self.deadline_at <= self.pace.at

    @property
    def verdict(self) -> Verdict | None:
        """How it stands to the deadline; None without one."""
        if self.deadline_at is None:
            return None
        if self.ended_at is not None:
            return Verdict.MET if self.ended_at <= self.deadline_at else Verdict.MISSED
        if self.has_passed:
            return Verdict.MISSED
        if self.expected_at is None:
            return Verdict.UNKNOWN
        return Verdict.ON_TIME if self.expected_at <= self.deadline_at else Verdict.LATE

    @property
    def sentence(self) -> str:
        """Such as `done by 05:12, 48 minutes before the deadline`."""
        if self.ended_at is not None:
            return f"done at {clock(self.ended_at, self.pace.at)}{self._against_deadline()}"
        if self.has_passed:
            passed_s = self.pace.at - (self.deadline_at or self.pace.at)
            return f"missed the deadline {duration(passed_s)} ago{self._then()}{self._why()}"
        if self.expected_at is None:
            return f"no estimate: {self._why_none()}"
        if self.verdict is Verdict.LATE:
            return f"will miss the deadline by {duration(-(self.slack_s or 0))}, done by {self._end()}{self._why()}"
        return f"done by {self._end()}{self._against_deadline()}"

    def _against_deadline(self) -> str:
        if self.slack_s is None:
            return ""
        side = "before" if self.slack_s >= 0 else "after"
        return f", {duration(abs(self.slack_s))} {side} the deadline"

    def _end(self) -> str:
        return clock(self.end_at or self.pace.at, self.pace.at)

    def _then(self) -> str:
        return "" if self.expected_at is None else f", done by {self._end()}"

    def _why(self) -> str:
        """What keeps it: a pause, or workers that are down."""
        if self.pace.paused_at is not None:
            return f": paused since {clock(self.pace.paused_at, self.pace.at)}"
        num_workers = self.pace.num_alive + self.pace.num_down
        if self.pace.num_down:
            return f": {self.pace.num_down} of {num_workers} workers {'is' if num_workers == 1 else 'are'} down"
        return "" if self.pace.num_alive else ": no worker is alive"

    def _why_none(self) -> str:
        if self.pace.num_alive == 0 or self.pace.paused_at is not None:
            return self._why().removeprefix(": ")
        return f"nothing was finished in the last {duration(RECENT_S)}"


def expected_end(num_ahead: int, pace: Pace) -> float | None:
    """When `num_ahead` open conversations will be finished at this pace, in seconds since the epoch.

    None if it is not known: nothing was finished lately, or the ledger is paused.
    """
    return None if pace.rate is None or pace.paused_at is not None else pace.at + num_ahead / pace.rate
