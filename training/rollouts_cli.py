"""The commands `adapters canary` and `adapters shadow`: an adapter on a share of the conversations."""

from pathlib import Path

import click
from sqlalchemy.exc import IntegrityError

from aftercall.errors import AdapterError
from aftercall.ledger import rollouts
from aftercall.ledger.rollouts import Kind, Rollout, State
from training import show_rollouts
from training.context import TrainingContext, base_name, open_context
from training.registry import registry, shadowing, shipped
from training.registry.registry import AdapterState
from worker.serving.canary import judge
from worker.serving.desired import find_desired

#: More than half of the conversations to an adapter on trial is no trial.
MAX_SHARE = 0.5

#: What a reviewer compares in one sitting.
MAX_PAIRS = 100


class Share(click.ParamType[float]):
    """A share of the conversations: `10%` or `0.1`."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Above 0, up to `MAX_SHARE`."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= MAX_SHARE:
            self.fail(f"{text!r} is not a share; give one of up to {MAX_SHARE:.0%}, such as 10%", param, ctx)
        return share


@click.command(short_help="Serve an adapter to a share of the conversations, and stop it if it is worse.")
@click.argument("digest", required=False)
@click.option("--share", type=Share(), default="10%", show_default=True, help="Share of the conversations.")
@click.option("--stop", "is_stopping", is_flag=True, help="Stop the canary that runs.")
def canary(digest: str | None, share: float, is_stopping: bool) -> None:
    """Serve DIGEST to a share of the conversations, next to the served adapter; without DIGEST, show how it does.

    Summaries say which adapter wrote them. The workers stop a canary whose summaries need reviews, come to nothing or
    are cut more often than those of the served adapter, beyond doubt. `aftercall adapters promote` ends it, too.
    """
    with open_context() as context:
        _command(context, Kind.CANARY, digest, share, is_stopping=is_stopping)


@click.command(short_help="Have an adapter write next to the served one, to compare the two.")
@click.argument("digest", required=False)
@click.option("--share", type=Share(), default="5%", show_default=True, help="Share of the conversations.")
@click.option("--stop", "is_stopping", is_flag=True, help="Stop the shadow that runs.")
@click.option("--review", "out", type=click.Path(path_type=Path), help="Write up to 100 pairs to a CSV for reviewers.")
@click.option("--import", "reviewed", type=click.Path(path_type=Path), help="Read what reviewers preferred.")
def shadow(digest: str | None, share: float, is_stopping: bool, out: Path | None, reviewed: Path | None) -> None:
    """Write a share of the conversations with DIGEST, too; without DIGEST, show how both compare.

    What a shadow writes is never exported. With --review, people compare the two without knowing which is which: they
    write `first`, `second` or `tie` in the column `preferred`. --import reads that, and `aftercall adapters promote
    DIGEST --on-preference` goes by it.
    """
    with open_context() as context:
        if out is not None or reviewed is not None:
            _review(context, out, reviewed)
            return
        _command(context, Kind.SHADOW, digest, share, is_stopping=is_stopping)


def _command(context: TrainingContext, kind: Kind, digest: str | None, share: float, *, is_stopping: bool) -> None:
    if is_stopping:
        if digest is not None:
            raise click.UsageError("--stop goes without a digest: one runs at most")
        _stop(context, kind)
    elif digest is not None:
        _start(context, kind, digest, share)
    else:
        _show(context, kind)


def _start(context: TrainingContext, kind: Kind, digest: str, share: float) -> None:
    entry = shipped.find(context.database, digest)
    registry.require_folder(entry.path, entry.digest)
    registry.check_folder(entry.path)
    served = find_desired(context.database, entry.base_model)
    if entry.state is AdapterState.ACTIVE or entry.digest == served.digest:
        raise AdapterError(f"{entry.digest} is served for {entry.base_model} already")
    try:
        rollouts.begin(context.database, entry.base_model, kind, entry.digest, served.digest, share)
    except IntegrityError:
        raise AdapterError(
            f"a {kind} runs for {entry.base_model} already; stop it first with `aftercall adapters {kind} --stop`"
        ) from None
    what = "serves" if kind is Kind.CANARY else "shadows"
    click.echo(f"{entry.digest} {what} {share:.3g} of the conversations, next to {served.digest or 'the base model'}")


def _stop(context: TrainingContext, kind: Kind) -> None:
    running = next((each for each in _of_kind(context, kind) if each.state is State.RUNNING), None)
    if running is None or not rollouts.stop(context.database, running, State.STOPPED, "stopped by hand"):
        raise AdapterError(f"no {kind} runs")
    click.echo(f"{kind} {running.adapter_digest} is stopped; {running.served_digest or 'the base model'} is served")


def _review(context: TrainingContext, out: Path | None, reviewed: Path | None) -> None:
    found = _of_kind(context, Kind.SHADOW)
    if not found:
        raise AdapterError("no adapter was a shadow yet")
    if reviewed is not None:
        num = shadowing.import_pairs(context.database, found[0], reviewed)
        click.echo(f"{num} comparisons read from {reviewed}")
    if out is not None:
        num = shadowing.export_pairs(context.database, found[0], out, MAX_PAIRS)
        click.echo(f"{num} pairs written to {out}; write first, second or tie in the column `preferred`")


def _of_kind(context: TrainingContext, kind: Kind) -> list[Rollout]:
    """The rollouts of the base model in the settings, newest first."""
    base_model = base_name(context, context.settings.base_model)
    return [each for each in rollouts.every(context.database, base_model) if each.kind is kind]


def _show(context: TrainingContext, kind: Kind) -> None:
    found = _of_kind(context, kind)
    if not found:
        click.echo(f"No adapter was a {kind} of {base_name(context, context.settings.base_model)} yet.")
        return
    for each in found:
        show_rollouts.state(each)
    if kind is Kind.CANARY:
        show_rollouts.findings(judge(context.database, found[0]))
    else:
        show_rollouts.comparison(shadowing.compare_shadow(context.database, found[0]))
