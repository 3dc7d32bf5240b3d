"""The commands `adapters canary` and `adapters shadow`: an adapter on a share of the conversations."""

import click
from sqlalchemy.exc import IntegrityError

from aftercall.errors import AdapterError
from aftercall.ledger import rollouts
from aftercall.ledger.rollouts import Kind, Rollout, State
from training import show_rollouts
from training.context import TrainingContext, base_name, open_context
from training.registry import registry, shipped
from training.registry.registry import AdapterState
from worker.serving.canary import judge
from worker.serving.desired import find_desired

#: More than half of the conversations to an adapter on trial is no trial.
MAX_SHARE = 0.5


class Share(click.ParamType):
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
def shadow(digest: str | None, share: float, is_stopping: bool) -> None:
    """Write a share of the conversations with DIGEST, too; without DIGEST, show how both compare.

    What a shadow writes is never exported. `aftercall review export --shadow` has people compare the two without
    knowing which is which, and `aftercall adapters promote --on-preference` goes by what they preferred.
    """
    with open_context() as context:
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
    [running] = _running(context, kind) or [None]
    if running is None or not rollouts.stop(context.database, running, State.STOPPED, "stopped by hand"):
        raise AdapterError(f"no {kind} runs")
    click.echo(f"{kind} {running.adapter_digest} is stopped; {running.served_digest or 'the base model'} is served")


def _show(context: TrainingContext, kind: Kind) -> None:
    base_model = base_name(context, context.settings.base_model)
    found = [each for each in rollouts.every(context.database, base_model) if each.kind is kind]
    if not found:
        click.echo(f"No adapter was a {kind} of {base_model} yet.")
        return
    for each in found:
        show_rollouts.state(each)
    if kind is Kind.CANARY:
        show_rollouts.findings(judge(context.database, found[0]))


def _running(context: TrainingContext, kind: Kind) -> list[Rollout]:
    base_model = base_name(context, context.settings.base_model)
    return [each for each in rollouts.running(context.database, base_model) if each.kind is kind]
