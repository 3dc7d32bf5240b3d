"""Promotion as people ask for it: the gate first, the registry then. Knows registry, gate and folders, no model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine

from aftercall.errors import AdapterError
from training import registry
from training.gate import GateReport, compare_at_gate
from training.judgement import Judgement, load_judgement
from training.registry import Trial
from worker.adapter import read_manifest


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion changed."""

    digest: str
    #: Digest of the adapter it took the place of; None: the base model alone.
    replaced: str | None
    #: None where there was nothing to compare with.
    report: GateReport | None
    is_forced: bool


def promote(database: Engine, digest: str, incumbent: Path | None, *, is_forced: bool) -> Promotion:
    """Let an adapter through the gate and make it active.

    Args:
        incumbent: folder of what workers serve now, from the registry or shipped; None: the base model alone.
        is_forced: promote whatever the gate says; the history keeps that it was so.

    Raises AdapterError if the gate refuses, or cannot compare; then nothing has changed.
    """
    entry = registry.find(database, digest)
    if entry.state is registry.AdapterState.ACTIVE:
        raise AdapterError(f"{entry.digest} is the active adapter of {entry.base_model} already")
    report = None if is_forced else _compare(entry, incumbent)
    if report and not report.is_passed:
        raise AdapterError(
            f"{entry.digest} stays a candidate: {'; '.join(report.refusals)}, than {incumbent_name(incumbent)}. "
            "Train a better one, or promote it all the same with --force, which the history will show."
        )
    replaced = read_manifest(incumbent).digest if incumbent else None
    found = json.dumps(asdict(report)) if report else None
    registry.promote(database, entry.digest, Trial(replaced, is_forced, found))
    return Promotion(entry.digest, replaced, report, is_forced)


def incumbent_name(incumbent: Path | None) -> str:
    """What workers serve now, in words."""
    return f"adapter {incumbent.name}" if incumbent else "the base model"


def spell_ways(ours: Judgement, theirs: Judgement) -> str:
    """How the summaries of two judgements were written, where that differs."""
    return f"{ours.name} was judged as {ours.written_as}; {theirs.name} as {theirs.written_as}"


def _compare(entry: registry.Entry, incumbent: Path | None) -> GateReport | None:
    candidate = load_judgement(entry.path)
    if incumbent is None:
        return None
    served = load_judgement(incumbent)
    if not candidate.is_written_as(served):
        raise AdapterError(
            f"{spell_ways(candidate, served)}. Run `aftercall evaluate` for both with the same AFTERCALL_QUANTIZATION, "
            "AFTERCALL_COMPUTE_DTYPE and decoding."
        )
    return compare_at_gate(candidate, served)
