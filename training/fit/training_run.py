"""How a training run went: its size, duration and loss curve, as the card prints them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One entry of the loss curve."""

    step: int
    epoch: float
    train_loss: float | None
    validation_loss: float | None


@dataclass(frozen=True, slots=True)
class PreferenceRun:
    """How training on preferences went."""

    num_pairs: int
    num_steps: int
    #: By step.
    losses: tuple[float, ...]
    #: Share of a step's pairs whose chosen summary gained more likelihood than the rejected one, 0 to 1.
    accuracies: tuple[float, ...]

    def __str__(self) -> str:
        text = f"DPO on {self.num_pairs} pairs, {self.num_steps} steps"
        if not self.losses:
            return text
        return (
            f"{text}: loss {self.losses[0]:.3f} to {self.losses[-1]:.3f}, pairs in the reviewers' order "
            f"{self.accuracies[0]:.0%} to {self.accuracies[-1]:.0%}"
        )


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How a run went."""

    num_trainable_parameters: int
    num_parameters: int
    num_steps: int
    #: Tokens of one epoch.
    num_tokens: int
    duration_s: float
    device: str
    curve: tuple[LossPoint, ...]
    #: One per GPU; each processed the recipe's batch in every step.
    num_processes: int = 1
    #: Whether 4-bit weights were dequantized once instead of in every step.
    is_dequantized: bool = False
    is_compiled: bool = False
    #: None without preferences.
    preference: PreferenceRun | None = None

    @property
    def ran_on(self) -> str:
        """The device and the optimizations used, in words."""
        ways = {
            f"{self.num_processes} processes": self.num_processes > 1,
            "4-bit weights dequantized once": self.is_dequantized,
            "layers compiled": self.is_compiled,
        }
        return ", ".join([self.device, *(way for way, is_used in ways.items() if is_used)])
