"""What `bench.training` prints and draws. Knows figures; it knows no model."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a case showed."""

    step_s: float
    warmup_s: float
    peak_gib: float
    losses: list[float]


def plain_name(num_pairs: int) -> str:
    """The case that the others of so many pairs are compared with."""
    return f"SFTTrainer, batch {num_pairs}"


@dataclass
class Table:
    """The cases measured so far, a line each."""

    #: Operations that one token takes, forward and backward to the input: 4 for each weight.
    flops_a_token: float
    tokens_a_pair: float
    #: TFLOP/s.
    ceiling: float
    plain_s: dict[int, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, num_pairs: int, outcome: Outcome) -> None:
        """Print a line, beside plain SFTTrainer on so many pairs if that was measured before."""
        if name == plain_name(num_pairs):
            self.plain_s[num_pairs] = outcome.step_s
        ratio = f"{self.plain_s[num_pairs] / outcome.step_s:5.2f}x" if num_pairs in self.plain_s else " " * 6
        self.curves[f"{name}, {num_pairs} pairs"] = outcome.losses
        tokens_s = num_pairs * self.tokens_a_pair / outcome.step_s
        share = self.flops_a_token * tokens_s / 1e12 / self.ceiling
        print(
            f"{num_pairs:3} {name:36} {1000 * outcome.step_s:6.1f} ms {ratio} "
            f"{num_pairs / outcome.step_s:6.1f} pairs/s {tokens_s:7.0f} tokens/s {outcome.peak_gib:5.1f} GiB "
            f"{100 * share:4.1f}% of ceiling, warm-up {outcome.warmup_s:5.1f} s, "
            f"loss {outcome.losses[0]:.4f} {outcome.losses[9]:.4f} {outcome.losses[-1]:.4f}",
            flush=True,
        )

    def save(self, folder: Path) -> None:
        """The loss curves, as figures and as a picture."""
        (folder / "curves.json").write_text(json.dumps(self.curves))
        draw(self.curves, folder / "curves.png")


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """The loss curves, one upon the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, losses in curves.items():
        axes.plot(range(1, len(losses) + 1), losses, label=name, linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel("loss a token")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)
