"""Promotion as people ask for it: the gate first, the registry then, and a line in a log that nobody rewrites.

Knows registry, gate and folders. It knows no model.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from aftercall.errors import AdapterError
from training import registry
from training.gate import GateReport, compare_at_gate
from training.judgement import load_judgement

LOG_FILE = "promotions.jsonl"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion changed."""

    digest: str
    #: Digest of the adapter it took the place of; None: the base model alone.
    replaced: str | None
    #: None where there was nothing to compare with.
    report: GateReport | None
    is_forced: bool


def promote(database: Engine, digest: str, incumbent: Path | None, log_dir: Path, *, is_forced: bool) -> Promotion:
    """Let an adapter through the gate and make it active.

    Args:
        incumbent: folder of what workers serve now, from the registry or shipped; None: the base model alone.
        is_forced: promote whatever the gate says; the log keeps that it was so.

    Raises AdapterError if the gate refuses, or cannot compare; then nothing has changed.
    """
    entry = registry.find(database, digest)
    if entry.state is registry.AdapterState.ACTIVE:
        raise AdapterError(f"{entry.digest} is the active adapter of {entry.base_model} already")
    report = None if is_forced else _compare(entry, incumbent)
    if report and not report.is_passed:
        raise AdapterError(
            f"{entry.digest} stays a candidate: {'; '.join(report.refusals)}, than {incumbent_name(incumbent)}. "
            "Train a better one, or promote it all the same with --force, which the log will show."
        )
    promotion = Promotion(entry.digest, incumbent.name if incumbent else None, report, is_forced)
    # The log first: where it cannot be written, nothing is promoted without a trace.
    write_log(log_dir, "promote", asdict(promotion))
    registry.promote(database, entry.digest)
    return promotion


def incumbent_name(incumbent: Path | None) -> str:
    """What workers serve now, in words."""
    return f"adapter {incumbent.name}" if incumbent else "the base model"


def write_log(log_dir: Path, action: str, what: dict[str, Any]) -> None:
    """Append a line: when, what and which."""
    log_dir.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "action": action, **what}
    with (log_dir / LOG_FILE).open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
        log.flush()
        os.fsync(log.fileno())


def _compare(entry: registry.Entry, incumbent: Path | None) -> GateReport | None:
    candidate = load_judgement(entry.path)
    return compare_at_gate(candidate, load_judgement(incumbent)) if incumbent else None
