"""What the end-to-end benchmark serves with: the worker's own model and engine, or a simulated device, timed.

The steps' times go into the folder that BENCH_SPANS names, a file each process.
"""

import atexit
import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Database

from aftercall.ledger import work
from aftercall.profile import TWEETSUMM
from aftercall.settings import Settings
from bench.timing.host import HostProbe
from bench.timing.simulated import SimulatedRunner
from bench.timing.spans import SPANS_VARIABLE, CudaClock, HostClock, TimedRunner
from worker.engine import build
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner
from worker.engine.stopping import StopRule
from worker.loading.load import ModelProvenance
from worker.loading.precision import Device
from worker.serving.prompts import PromptEncoder
from worker.serving.served import Served
from worker.serving.start import load_served, make_sampling


def spans_path() -> Path:
    """The file of this process."""
    return Path(os.environ[SPANS_VARIABLE]) / f"{os.getpid()}.json"


def watch_host() -> None:
    """Measure what this process does beside its engine, until it ends."""
    probe = HostProbe()
    for name in ("claim", "complete"):
        probe.watch(work, name)
    probe.watch(PromptEncoder, "encode_whole")
    atexit.register(probe.save, spans_path().with_suffix(".host"))


def load_timed(settings: Settings, database: Database, device: Device) -> Served:
    """What a worker on this device serves with, its runner timed."""

    def timed_runner(*args: Any) -> TimedRunner:
        return TimedRunner(ModelRunner(*args), CudaClock() if device == "cuda" else HostClock(), spans_path())

    build.ModelRunner = timed_runner  # type: ignore[assignment, misc]
    return load_served(settings, database, device)


def load_simulated(settings: Settings, database: Database) -> Served:
    """A simulated device behind the engine; `base_model` is the folder of a tokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(settings.base_model)
    options = EngineOptions(max_num_seqs=1024, max_num_batched_tokens=8192, min_prefill_tokens=4096)
    sampling = make_sampling(settings, TWEETSUMM)
    runner = SimulatedRunner(len(tokenizer), options.max_num_seqs)
    timed: Any = TimedRunner(runner, runner, spans_path())
    rule = StopRule(tokenizer, sampling.stop_string, ())
    provenance = ModelProvenance(settings.base_model, "", "none", "simulated", "", None, False)
    return Served(build.assemble_engine(timed, rule, sampling, options), tokenizer, provenance, sampling)
