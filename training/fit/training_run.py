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

    @property
    def ran_on(self) -> str:
        """The device and the optimizations used, in words."""
        ways = {
            f"{self.num_processes} processes": self.num_processes > 1,
            "4-bit weights dequantized once": self.is_dequantized,
            "layers compiled": self.is_compiled,
        }
        return ", ".join([self.device, *(way for way, is_used in ways.items() if is_used)])
