"""What the commands print with --json: one object, with stable keys, UTC times and counts that add up.

docs/json.md documents each object; a test validates what the commands print against the schemas there.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from aftercall.ledger.account import Account
from aftercall.ledger.failures import Failure, FailureCount
from aftercall.ledger.workers import LiveWorker
from producer.doctor.finding import Finding, Level
from producer.estimate import Estimate
from producer.standing import Standing, Standings
from producer.submit import SubmitReport
from producer.when import to_utc

#: Goes up when a key changes its meaning or disappears. New keys may come at any time.
FORMAT_VERSION = 1

Json = dict[str, Any]


@contextmanager
def keeping_stdout(is_json: bool) -> Iterator[TextIO]:
    """With JSON, what is meant for people goes to stderr while the block runs. Yields the real stdout."""
    stdout = sys.stdout
    if not is_json:
        yield stdout
        return
    with redirect_stdout(sys.stderr):
        yield stdout


def headed(kind: str, content: Json) -> Json:
    """One object of this kind, with what it is."""
    return {"kind": kind, "format": FORMAT_VERSION} | content


def write(kind: str, content: Json, file: TextIO | None = None) -> None:
    """Print one object of this kind."""
    print(json.dumps(headed(kind, content), ensure_ascii=False, indent=2), file=file or sys.stdout)


def counts(each: Account, num_rejected: int) -> Json:
    """Submitted is the sum of waiting, running, done, failed, cancelled and insufficient; rejected is not in it."""
    return {
        "submitted": each.submitted,
        "waiting": each.waiting,
        "running": each.running,
        "done": each.done,
        "failed": each.failed,
        "cancelled": each.cancelled,
        "insufficient": each.insufficient,
        "rejected": num_rejected,
    }


def submission(standing: Standing) -> Json:
    """One submission."""
    record = standing.record
    return {
        "id": record.id,
        "source": record.name,
        "state": _state(standing),
        "read_to_end": record.is_read,
        "counts": counts(standing.account, record.num_rejected),
        "submitted_at": to_utc(record.created_at),
        "first_finished_at": to_utc(standing.span.first_at),
        "ended_at": to_utc(standing.estimate.ended_at),
        "conversations_per_s": _rounded(standing.rate, 3),
        "expected_end_at": to_utc(standing.estimate.expected_at),
        "deadline": deadline(standing.estimate),
        "sentence": standing.estimate.sentence,
    }


def _state(standing: Standing) -> str:
    if standing.record.is_cancelled:
        return "cancelled"
    if not standing.record.is_read:
        return "reading"
    return "ended" if standing.has_ended else "open"


def deadline(estimate: Estimate) -> Json | None:
    """The deadline and how it is met; None without one."""
    if estimate.deadline_at is None:
        return None
    return {
        "at": to_utc(estimate.deadline_at),
        "verdict": estimate.verdict,
        "slack_s": _rounded(estimate.slack_s, 0),
    }


def worker(each: LiveWorker, at: float) -> Json:
    """One worker that is alive or was until a minute ago."""
    digest = each.worker.adapter_digest
    return {
        "name": each.worker.name,
        "state": "silent" if each.is_overdue else "loading" if digest is None else "serving",
        "base_model": each.worker.base_model,
        "adapter": digest or None,
        "version": each.worker.version,
        "started_at": to_utc(at - each.age_s),
        "seen_at": to_utc(at - each.heartbeat_age_s),
    }


def status(standings: Standings) -> Json:
    """`aftercall status --json`, and what `wait` ends with."""
    at = standings.pace.at
    return {
        "at": to_utc(at),
        "submissions": [submission(each) for each in standings.submissions],
        "total": counts(standings.total, standings.num_rejected),
        "conversations_per_s_now": _rounded(standings.pace.rate, 3),
        "workers": [worker(each, at) for each in standings.workers],
        "workers_down": standings.pace.num_down,
    }


def submitted(source: str, report: SubmitReport, rejected_file: str | None) -> Json:
    """One source of `aftercall submit`. Read is the sum of added and repeated."""
    return {
        "source": source,
        "submission": report.submission_id or None,
        "read": report.num_read,
        "added": report.num_added,
        "repeated": report.num_read - report.num_added,
        "known": report.num_known,
        "insufficient": report.num_insufficient,
        "rejected": report.num_rejected,
        "rejected_file": rejected_file if report.num_rejected else None,
        "rejected_examples": [{"line": each.line, "reason": each.reason} for each in report.examples],
        "error": None,
    }


def problem(exit_code: int, message: str) -> Json:
    """What is wrong with a source. Exit code 0: it is a file that aftercall wrote, and was passed over."""
    return {"exit_code": exit_code, "message": message}


def not_submitted(source: str, exit_code: int, message: str) -> Json:
    """A source of `aftercall submit` that can't be read."""
    none = dict.fromkeys(("read", "added", "repeated", "known", "insufficient", "rejected"), 0)
    return {
        "source": source,
        "submission": None,
        **none,
        "rejected_file": None,
        "rejected_examples": [],
        "error": problem(exit_code, message),
    }


def findings(found: Sequence[Finding], exit_code: int) -> Json:
    """`aftercall doctor --json`."""
    return {
        "findings": [{"level": each.level, "subject": each.subject, "sentence": each.sentence} for each in found],
        "counts": {level: sum(each.level is level for each in found) for level in Level},
        "exit_code": exit_code,
    }


def failure_counts(counted: Sequence[FailureCount]) -> list[Json]:
    """Why conversations failed, most frequent first."""
    return [{"code": each.code, "conversations": each.num_conversations, "example": each.example} for each in counted]


def failure(each: Failure) -> Json:
    """One failed conversation."""
    return {
        "submission": each.submission_id,
        "id": each.external_id,
        "code": each.code,
        "reason": each.reason,
        "attempts": each.attempts,
        "failed_at": to_utc(each.failed_at),
    }


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)
