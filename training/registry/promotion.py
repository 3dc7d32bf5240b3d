"""Promotion as people ask for it: the gate first, the registry then. Knows registry, gate and folders, no model."""

import json
from dataclasses import asdict, dataclass

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
    #: Digest of the adapter it took the place of; None: the base model alone.
    replaced: str | None
    #: None where there was nothing to compare with.
    report: GateReport | None
    is_forced: bool


def promote(
    database: Engine, digest: str, incumbent: DesiredAdapter, judgements: Judgements, *, is_forced: bool
) -> Promotion:
    """Let an adapter through the gate and make it active.

    Args:
        incumbent: what workers serve now. Its folder may be gone: then only force replaces it.
        is_forced: promote whatever the gate says; the history keeps that it was so.

    Raises AdapterError if the gate refuses, or cannot compare; then nothing has changed.
    """
    entry = shipped.find(database, digest)
    if entry.state is AdapterState.ACTIVE:
        raise AdapterError(f"{entry.digest} is the active adapter of {entry.base_model} already")
    if entry.state is AdapterState.SHIPPED:
        raise AdapterError(
            f"{entry.digest} ships for {entry.base_model} and is served while no other is active. To promote it over "
            f"another, enter it first: `aftercall adapters register {entry.path}`."
        )
    report = None if is_forced else _compare(entry, incumbent, judgements)
    if report and not report.is_passed:
        raise AdapterError(
            f"{entry.digest} stays a candidate: {'; '.join(report.refusals)}, than {incumbent_name(incumbent)}. "
            "Train a better one, or promote it all the same with --force, which the history will show."
        )
    replaced = incumbent.digest or None
    found = json.dumps(asdict(report)) if report else None
    registry.promote(database, entry.digest, Trial(replaced, is_forced, found))
    return Promotion(entry.digest, replaced, report, is_forced)


def incumbent_name(incumbent: DesiredAdapter) -> str:
    """What workers serve now, in words."""
    return f"adapter {incumbent.digest}" if incumbent.digest else "the base model"


def format_settings(ours: Judgement, theirs: Judgement) -> str:
    """How the summaries of two judgements were written, where that differs."""
    return f"{ours.name} was judged as {ours.written_as}; {theirs.name} as {theirs.written_as}"


def _compare(entry: registry.Entry, incumbent: DesiredAdapter, judgements: Judgements) -> GateReport | None:
    registry.require_folder(entry.path, entry.digest)
    candidate = judgements.find(entry.path)
    if incumbent.folder is None:
        base = judgements.find_base(entry.path)
        return _compare_with_base(entry.digest, candidate, base) if base else None
    if not incumbent.folder.is_dir():
        raise AdapterError(
            f"the folder of {incumbent_name(incumbent)}, which is active, is gone: {incumbent.folder}. Put it back, "
            "name its new place with `aftercall adapters register FOLDER`, or replace it uncompared with --force."
        )
    served = judgements.find(incumbent.folder)
    if not candidate.is_written_as(served):
        raise AdapterError(
            f"{format_settings(candidate, served)}. Run `aftercall evaluate` for both with the same "
            "AFTERCALL_QUANTIZATION, AFTERCALL_COMPUTE_DTYPE and decoding."
        )
    return compare_at_gate(candidate, served)


def _compare_with_base(digest: str, candidate: Judgement, base: Judgement) -> GateReport:
    if not candidate.is_comparable(base):
        raise AdapterError(
            f"{digest} and the base model alone were judged on different conversations, or not written alike. Run "
            f"`aftercall evaluate {digest} --with-base` to judge both."
        )
    return compare_at_gate(candidate, base)
