"""Throws inputs at a target for a while, and keeps the smallest that it does not take well.

Each input is taken or refused with a sentence, in time and in bounded memory. One that breaks this is made smaller, as
long as it breaks the same, and kept.
"""

import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from aftercall.errors import AftercallError

#: Of the processor, per input of at most 1 MiB; the slowest sound one takes a tenth of it.
MAX_SECONDS = 5.0
#: For making an input smaller that broke something.
MAX_SHRINK_S = 5.0
#: What the process may take beyond what it has after its imports.
MAX_EXTRA_BYTES = 512 << 20

#: What else the target is told, such as options; empty for most.
Told = dict[str, Any]


@dataclass
class Findings:
    """What a run came to, for one target."""

    num_inputs: int = 0
    num_refused: int = 0
    #: What came out of the others: conversations, jobs, summaries; and what of them was rejected with a reason.
    num_rows: int = 0
    num_rejected: int = 0
    slowest_s: float = 0.0
    #: Where and how it broke, to the smallest input that does so and what the target is told with it.
    broken: dict[str, tuple[bytes, Told]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A part of aftercall that takes what others wrote."""

    name: str
    make: Callable[[Random], tuple[bytes, Told]]
    #: Takes an input in an empty folder. Raises AftercallError to refuse it, and anything else if something is wrong.
    take: Callable[[Path, bytes, Told, Findings], None]


def fuzz(target: Target, rng: Random, is_over: Callable[[Findings], bool]) -> Findings:
    """Try inputs until it is over."""
    findings = Findings()
    while not is_over(findings):
        data, told = target.make(rng)
        began = time.process_time()
        broken = breakage(target, data, told, findings)
        findings.num_inputs += 1
        findings.slowest_s = max(findings.slowest_s, time.process_time() - began)
        if broken is not None and broken not in findings.broken:
            findings.broken[broken] = (_shrink(target, data, told, broken), told)
    return findings


def breakage(target: Target, data: bytes, told: Told, findings: Findings) -> str | None:
    """How taking this input goes wrong; None if it does not."""
    with TemporaryDirectory(prefix="aftercall-fuzz-") as folder:
        try:
            with _time_limit(MAX_SECONDS):
                target.take(Path(folder), data, told, findings)
        except AftercallError as error:
            findings.num_refused += 1
            return None if is_sentence(str(error)) else f"no sentence: {str(error)[:40]!r}"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:80]}"
    return None


def is_sentence(text: str) -> bool:
    """Printable, not endless, and something."""
    return 0 < len(text) < 4_000 and text.replace("\n", "").isprintable()


def limit_memory() -> None:
    """From here on, an input that takes too much memory raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_EXTRA_BYTES,) * 2)


def _shrink(target: Target, data: bytes, told: Told, broken: str) -> bytes:
    """The input without what can be left out of it, as far as that is found out in time."""
    deadline = time.monotonic() + MAX_SHRINK_S
    size = len(data) // 2
    while size:
        start = 0
        while start < len(data) and time.monotonic() < deadline:
            shorter = data[:start] + data[start + size :]
            if breakage(target, shorter, told, Findings()) == broken:
                data = shorter
            else:
                start += size
        size //= 2
    return data


@contextmanager
def _time_limit(max_s: float) -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise TimeoutError(f"not within {max_s:g} s")

    # Time of this process: on a busy machine the wall's clock would find fault with sound files.
    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, max_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
