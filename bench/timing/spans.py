"""When the device worked: every step of an engine with its start and end, and what they come to.

Times are seconds since the epoch, so that they stand beside the ledger's. Knows no queue and no ledger.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    # Whoever only reads the steps' times does without torch, which takes seconds to import.
    from worker.engine.engine import Tokens
    from worker.engine.scheduler import Step

#: Names the folder into which runners write their steps.
SPANS_VARIABLE = "BENCH_SPANS"


@dataclass(frozen=True, slots=True)
class Span:
    """One step on the device."""

    is_prefill: bool
    num_seqs: int
    start_s: float
    end_s: float
    #: How long the host took to launch it.
    launch_s: float

    @property
    def duration_s(self) -> float:
        """How long the device took, waits for the host within the step included."""
        return self.end_s - self.start_s


class SpanClock(Protocol):
    """Marks points in the device's work."""

    def mark(self) -> Any:
        """A point behind everything launched so far."""
        ...

    def seconds(self, mark: Any) -> float:
        """When the device came to it."""
        ...


class CudaClock:
    """By CUDA events, which cost the device nothing."""

    def __init__(self) -> None:
        import torch

        self._event = lambda: torch.cuda.Event(enable_timing=True)
        self._zero = self.mark()
        self._zero.synchronize()
        self._zero_s = time.time()

    def mark(self) -> Any:
        """An event on the current stream."""
        event = self._event()
        event.record()
        return event

    def seconds(self, mark: Any) -> float:
        """Waits until the device has come to it."""
        mark.synchronize()
        return self._zero_s + float(self._zero.elapsed_time(mark)) / 1e3


class HostClock:
    """For the CPU, which has run a step when its launch returns."""

    def mark(self) -> float:
        """Now."""
        return time.time()

    def seconds(self, mark: float) -> float:
        """The same."""
        return mark


class TimedRunner:
    """A runner that notes its steps and writes their times to a file when it is closed."""

    def __init__(self, runner: Any, clock: SpanClock, path: Path) -> None:
        self._runner = runner
        self._clock = clock
        self._path = path
        self._marks: list[tuple[bool, int, Any, Any, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def launch(self, step: "Step") -> "Tokens":
        """Run one step between two marks."""
        began = time.perf_counter()
        start = self._clock.mark()
        tokens: Tokens = self._runner.launch(step)
        end = self._clock.mark()
        self._marks.append((step.is_prefill, len(step.sequences), start, end, time.perf_counter() - began))
        return tokens

    def close(self) -> None:
        """Write the steps so far, and close the runner."""
        seconds = self._clock.seconds
        spans = [
            Span(is_prefill, num, seconds(start), seconds(end), launch_s)
            for is_prefill, num, start, end, launch_s in self._marks
        ]
        self._path.write_text(json.dumps([asdict(span) for span in spans]), encoding="utf-8")
        self._runner.close()


def load(folder: Path) -> list[Span]:
    """The steps that all runners wrote, in the order of their starts."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted((Span(**fields) for rows in files for fields in rows), key=lambda span: span.start_s)


def within(spans: Sequence[Span], start_s: float, end_s: float) -> list[Span]:
    """The spans that begin in a stretch of time."""
    return [span for span in spans if start_s <= span.start_s < end_s]


def describe(spans: Sequence[Span], num_conversations: int, elapsed_s: float) -> str:
    """Milliseconds a conversation in prefill, in decode and in neither, and how full the steps were."""
    parts = []
    for kind, is_prefill in (("prefill", True), ("decode", False)):
        of_kind = [span for span in spans if span.is_prefill is is_prefill]
        busy_ms = sum(span.duration_s for span in of_kind) * 1e3
        launch_ms = sum(span.launch_s for span in of_kind) * 1e3
        num_seqs = sum(span.num_seqs for span in of_kind) / max(1, len(of_kind))
        parts.append(
            f"{kind} {busy_ms / num_conversations:.3f} ({len(of_kind)} steps of {num_seqs:.0f}, "
            f"launches {launch_ms / num_conversations:.3f})"
        )
    idle_ms = (elapsed_s - sum(span.duration_s for span in spans)) * 1e3
    return f"ms/conversation: {', '.join(parts)}, idle {idle_ms / num_conversations:.3f}"
