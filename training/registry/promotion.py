"""Promotes an adapter: asks the gate first, then changes the registry."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine

from aftercall.errors import AdapterError
from training.judge.judgement import Judgement
from training.judge.store import Judgements
from training.registry import registry, shipped
from training.registry.gate import GateReport, compare_at_gate
from training.registry.registry import AdapterState, Trial
from worker.serving.desired import DesiredAdapter


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion changed."""

    digest: str
    #: Digest of the adapter it replaced; None: the base model alone.
    replaced: str | None
    #: None if it was forced.
    report: GateReport | None
    is_forced: bool


def promote(
    database: Engine,
    digest: str,
    incumbent: DesiredAdapter,
    judgements: Judgements,
    *,
    is_forced: bool = False,
    allows_tie: bool = False,
) -> Promotion:
    """Make an adapter active if the gate lets it pass.

    Args:
        incumbent: what workers serve now. If its folder no longer exists, only `is_forced` replaces it.
        is_forced: promote without asking the gate; the history records it.
        allows_tie: promote a candidate that is not worse, though not surely better either.

    Raises AdapterError if the gate refuses or cannot compare; then nothing has changed.
    """
    entry = shipped.find(database, digest)
    if entry.state is AdapterState.ACTIVE:
        raise AdapterError(f"{entry.digest} is already the active adapter of {entry.base_model}")
    if entry.state is AdapterState.SHIPPED:
        raise AdapterError(
            f"{entry.digest} ships for {entry.base_model} and is served while no other is active. To promote it over "
            f"another, register it first: `aftercall adapters register {entry.path}`."
        )
    report = None if is_forced else ask_gate(entry, incumbent, judgements, allows_tie=allows_tie)
    if report and not report.is_passed:
        raise AdapterError(
            f"{entry.digest} stays a candidate: {'; '.join(report.refusals)}. Train a better one, or promote it "
            "anyway with --force, which the history records."
        )
    replaced = incumbent.digest or None
    found = json.dumps(asdict(report)) if report else None
    registry.promote(database, entry.digest, Trial(replaced, is_forced, found))
    return Promotion(entry.digest, replaced, report, is_forced)


def incumbent_name(incumbent: DesiredAdapter) -> str:
    """The name of what workers serve now, for messages."""
    return f"adapter {incumbent.digest}" if incumbent.digest else "the base model"


def format_settings(ours: Judgement, theirs: Judgement) -> str:
    """A sentence on how the summaries of two judgements were written."""
    return f"{ours.name} was judged as {ours.written_as}; {theirs.name} as {theirs.written_as}"


def ask_gate(
    entry: registry.Entry, incumbent: DesiredAdapter, judgements: Judgements, *, allows_tie: bool = False
) -> GateReport:
    """Compare a candidate with what workers serve now; AdapterError if the two cannot be compared."""
    registry.require_folder(entry.path, entry.digest)
    candidate = judgements.find(entry.path)
    if incumbent.folder is None:
        served = _find_base(entry, candidate, judgements)
    else:
        served = _find_served(incumbent, incumbent.folder, candidate, judgements)
    return compare_at_gate(candidate, served, incumbent_name(incumbent), allows_tie=allows_tie)


def _find_served(incumbent: DesiredAdapter, folder: Path, candidate: Judgement, judgements: Judgements) -> Judgement:
    if not folder.is_dir():
        raise AdapterError(
            f"the folder of {incumbent_name(incumbent)}, which is active, no longer exists: {folder}. Put it "
            "back, give its new location with `aftercall adapters register FOLDER`, or replace it without comparing "
            "with --force."
        )
    served = judgements.find(folder)
    if not candidate.is_written_as(served):
        raise AdapterError(
            f"{format_settings(candidate, served)}. Run `aftercall evaluate` for both with the same "
            "AFTERCALL_QUANTIZATION, AFTERCALL_COMPUTE_DTYPE and decoding."
        )
    return served


def _find_base(entry: registry.Entry, candidate: Judgement, judgements: Judgements) -> Judgement:
    base = judgements.find_base(entry.path)
    if base is None:
        raise AdapterError(
            f"{entry.digest} would replace the base model alone, which has not been judged. Run `aftercall evaluate "
            f"{entry.digest} --with-base` first."
        )
    if not candidate.is_comparable(base):
        raise AdapterError(
            f"{entry.digest} and the base model alone were judged on different conversations or with different "
            f"settings. Run `aftercall evaluate {entry.digest} --with-base` to judge both."
        )
    return base
