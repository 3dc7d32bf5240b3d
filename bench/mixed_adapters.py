"""Conversations a second with several adapters of one base model in a batch, compared with the served one alone.

    python -m bench.mixed_adapters --base-model microsoft/phi-1_5      # on a GPU
    python -m bench.mixed_adapters --device cpu --num 16               # the packaged model

The adapters have random weights of rank 16 on the attention's layers. CPU seconds of the process are printed, too: on
a busy machine they say more than the clock.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from aftercall.settings import PACKAGED_MODEL
from bench.random_adapter import make_adapter
from bench.workload import read_conversations, tokenize
from worker.engine import start_engine
from worker.engine.base import Completion, SamplingSettings
from worker.loading.base_model import find_base_model
from worker.loading.load import ModelSettings, load_model
from worker.serving.adapter_pool import AdapterPool

#: In addition to the served one.
NUM_OTHERS = 3


def mixes(others: Sequence[str], num: int) -> dict[str, list[str]]:
    """By name: the adapter of each conversation; empty for the served one."""
    return {
        "served alone": [""] * num,
        "one in ten by another": [others[0] if place % 10 == 0 else "" for place in range(num)],
        "half by another": [others[0] if place % 2 else "" for place in range(num)],
        "four in equal parts": [["", *others][place % 4] for place in range(num)],
    }


def main() -> None:
    """All mixes in turns, so that a busy machine is busy for all; medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-model", default=PACKAGED_MODEL)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--num", type=int, default=24, help="conversations")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cache = Path(tempfile.gettempdir()) / "aftercall-bench"
        base = find_base_model(args.base_model, cache)
        folders = {path.name: path for path in (make_adapter(folder, base, seed) for seed in range(NUM_OTHERS + 1))}
        served, *others = folders
        loaded = load_model(
            ModelSettings(args.base_model, "none", args.dtype, folders[served], args.device, cache, is_swappable=True)
        )
        engine = start_engine(loaded, SamplingSettings(max_new_tokens=args.max_new_tokens, stop_string=""))
        stack.callback(engine.close)
        conversations = read_conversations()
        prompts = tokenize([conversations[each % len(conversations)] for each in range(args.num)], loaded.tokenizer)
        pool = AdapterPool(loaded, engine, folders.get, NUM_OTHERS)
        seconds: dict[str, list[tuple[float, float]]] = {}
        for _ in range(args.rounds + 1):
            for name, adapters in mixes(others, args.num).items():
                wanted = sorted(set(adapters) - {""})
                with pool.holding(wanted, loaded.provenance):
                    began, cpu_began = perf_counter(), process_time()
                    outcomes = engine.generate(prompts, adapters=adapters if wanted else ())
                    seconds.setdefault(name, []).append((perf_counter() - began, process_time() - cpu_began))
                assert all(isinstance(outcome, Completion) for outcome in outcomes)
        for name, rounds in seconds.items():
            clock, cpu = (median(values) for values in zip(*rounds[1:], strict=True))
            print(f"{name:24} {args.num / clock:8.2f} conversations/s  {cpu / args.num * 1e3:9.1f} CPU ms/conversation")


if __name__ == "__main__":
    main()
