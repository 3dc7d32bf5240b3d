"""What `adapters canary` and `adapters shadow` print."""

from collections.abc import Sequence

from rich.table import Table

from aftercall.ledger.rollouts import Rollout
from training.registry.shadowing import Comparison
from training.show import console, format_time
from worker.serving.canary import Finding


def state(rollout: Rollout) -> None:
    """Print one rollout in a line: since when it runs, or how it ended."""
    why = f": {rollout.reason}" if rollout.reason else ""
    console.print(
        f"{rollout.adapter_digest}, {rollout.share:.3g} of the conversations since {format_time(rollout.created_at)}, "
        f"{rollout.state}{why}",
        soft_wrap=True,
    )


def findings(found: Sequence[Finding]) -> None:
    """Print a canary's flags compared with those of the served adapter."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("flag", "canary", "served", "worse beyond doubt"):
        table.add_column(name)
    for each in found:
        shares = (
            f"{arm.num_flagged[each.flag]} of {arm.num_conversations} ({arm.share(each.flag):.1%})"
            for arm in (each.canary, each.served)
        )
        table.add_row(each.flag, *shares, "yes" if each.is_worse else "no")
    console.print(table)


def comparison(found: Comparison) -> None:
    """Print a shadow compared with what was served."""
    console.print(
        f"n={found.num_pairs} conversations written by both; the shadow came to nothing {found.num_failed} times"
    )
    if not found.num_pairs:
        return
    table = Table("figure", "served", "shadow", "difference (95% interval)")
    for name, (served, shadow, difference) in found.figures.items():
        table.add_row(name, f"{served:.1f}", f"{shadow:.1f}", str(difference))
    console.print(table)
    console.print(f"words in common: ROUGE-1 {found.overlap:.1f}")
    console.print(found.preference.sentence, soft_wrap=True)
