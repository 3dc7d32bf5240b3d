"""Conversations a second of the engine alone, on TweetSumm's prompt lengths and completions of fixed length.

python -m bench.engine                       # Phi-1.5's shape with random weights, on the GPU
python -m bench.engine --baseline hf         # transformers' generate on the same prompts
python -m bench.engine --quantization nf4    # dequantized once; --keep-quantized leaves it in 4 bits
python -m bench.engine --adapter unmerged    # a LoRA adapter beside the weights
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from transformers import AutoTokenizer

from bench.random_model import RandomModel, load_random
from bench.timing.host import process_age_s
from bench.workload import random_phi, random_prompts, read_lengths
from worker.engine.base import Completion, SamplingSettings
from worker.engine.build import assemble_engine
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner, SampledTokens
from worker.engine.scheduler import Step
from worker.engine.stopping import StopRule

_MODEL_DIR = Path(tempfile.gettempdir()) / "random-phi"


class TimedRunner(ModelRunner):
    """Notes how long host and device worked on each kind of step, without making either wait."""

    def __init__(self, model: Any, settings: SamplingSettings, options: EngineOptions) -> None:
        self.spans: list[tuple[Step, int, float, torch.cuda.Event, torch.cuda.Event]] = []
        super().__init__(model, settings, options)

    def launch(self, step: Step) -> SampledTokens:
        """Run one step between two events."""
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        num_tokens = sum(s.num_tokens for s in step.sequences) if step.is_prefill else len(step.sequences)
        start.record()
        began = perf_counter()
        tokens = super().launch(step)
        launched_s = perf_counter() - began
        end.record()
        self.spans.append((step, num_tokens, launched_s, start, end))
        return tokens

    def report(self, num_prompts: int) -> str:
        """Milliseconds a conversation, by kind of step."""
        torch.cuda.synchronize()
        parts = []
        for kind, is_prefill in (("prefill", True), ("decode", False)):
            spans = [span for span in self.spans if span[0].is_prefill is is_prefill]
            ms = sum(start.elapsed_time(end) for *_, start, end in spans)
            num_tokens = sum(span[1] for span in spans)
            launch_ms = sum(span[2] for span in spans) / len(spans) * 1e3
            parts.append(
                f"{kind} {ms / num_prompts:.3f} ms/conv ({len(spans)} steps, {num_tokens / ms * 1e3:,.0f} tokens/s, "
                f"{launch_ms:.2f} ms of the host a step)"
            )
        return ", ".join(parts)


def run_engine(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], settings: SamplingSettings, options: EngineOptions
) -> str:
    """One warm-up and one timed pass; a line of figures."""
    began = perf_counter()
    runner = TimedRunner(model, settings, options)
    planned_s = perf_counter() - began
    engine = assemble_engine(runner, StopRule(tokenizer, settings.stop_string, ()), settings, options)
    engine.generate(prompts[:64])
    first_s = perf_counter() - began
    engine.generate(prompts[: 2 * options.max_num_seqs])
    runner.spans.clear()
    began = perf_counter()
    outcomes = engine.generate(prompts)
    elapsed = perf_counter() - began
    num_done = sum(isinstance(outcome, Completion) for outcome in outcomes)
    details = runner.report(len(prompts))
    engine.close()
    if num_done < len(prompts):
        raise SystemExit(f"{len(prompts) - num_done} of {len(prompts)} prompts failed: {outcomes}")
    return (
        f"{len(prompts) / elapsed:7.1f} conversations/s  {elapsed / len(prompts) * 1e3:.3f} ms/conv  {details}  "
        f"plan {planned_s:.1f} s, first summaries {first_s - planned_s:.1f} s, {runner.num_pages} pages"
    )


def run_generate(model: Any, prompts: Sequence[Sequence[int]], batch_size: int, max_new_tokens: int) -> str:
    """transformers' own loop, length-sorted and left-padded."""
    ordered = sorted(prompts, key=len)
    began = perf_counter()
    for first in range(0, len(ordered), batch_size):
        batch = ordered[first : first + batch_size]
        width = max(len(prompt) for prompt in batch)
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in batch], device=model.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch], device=model.device)
        model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            min_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=0,
        )
    elapsed = perf_counter() - began
    return f"{len(prompts) / elapsed:7.1f} conversations/s  transformers generate, batch {batch_size}"


def main() -> None:
    """Parse, run, print."""
    imports_s = process_age_s()
    args = _parse()
    if args.emulate_t4:
        _become_a_t4()
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    prompts = random_prompts(read_lengths(args.lengths, tokenizer), args.num, vocab_size=51200)
    began = perf_counter()
    model = _load(args, tokenizer)
    print(f"imports {imports_s:.1f} s, model {perf_counter() - began:.1f} s", end="  ")
    if args.baseline == "hf":
        with torch.inference_mode():
            print(run_generate(model, prompts, args.batch_size, args.max_new_tokens))
        return
    settings = SamplingSettings(max_new_tokens=args.max_new_tokens)
    print(run_engine(model, tokenizer, prompts, settings, _options(args)))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=4096, help="conversations")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--max-num-seqs", type=int, default=1024)
    parser.add_argument("--max-num-batched-tokens", type=int, default=8192)
    parser.add_argument("--fp8", action="store_true", help="8-bit linear layers")
    parser.add_argument("--eager", action="store_true", help="do not compile the layers")
    parser.add_argument("--no-graphs", action="store_true", help="launch every kernel by itself")
    parser.add_argument("--quantization", choices=["none", "nf4", "int8"], default="none")
    parser.add_argument("--keep-quantized", action="store_true", help="leave NF4 in memory")
    parser.add_argument("--adapter", choices=["merged", "unmerged"], help="with an adapter of rank 16")
    parser.add_argument("--emulate-t4", action="store_true", help="float16, 15 GiB, no kernels of sm_80")
    parser.add_argument("--model-dir", type=Path, default=_MODEL_DIR, help="where models are written")
    parser.add_argument("--lengths", type=Path, help="JSON list of prompt lengths; TweetSumm's by default")
    parser.add_argument("--tokenizer", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="name or folder")
    parser.add_argument("--baseline", choices=["hf"])
    parser.add_argument("--batch-size", type=int, default=64, help="of the baseline")
    return parser.parse_args()


def _load(args: argparse.Namespace, tokenizer: Any) -> Any:
    """From memory where nothing is asked for, else from files as a worker does."""
    if args.quantization == "none" and args.adapter is None:
        return random_phi("cuda", torch.bfloat16)
    asked = RandomModel(
        folder=args.model_dir,
        quantization=args.quantization,
        compute_dtype="float16" if args.emulate_t4 else "bfloat16",
        may_dequantize=not args.keep_quantized,
        adapter=args.adapter,
    )
    return load_random(asked, tokenizer)


def _options(args: argparse.Namespace) -> EngineOptions:
    if args.emulate_t4:
        return replace(EngineOptions.for_gpu((7, 5)), attention="gathered")
    # Layers of 8 integer bits run as they come: their calls wait for the host.
    is_int8 = args.quantization == "int8"
    is_compiled = not args.eager and not is_int8
    return EngineOptions(
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        min_prefill_tokens=args.max_num_batched_tokens // 2,
        is_compiled=is_compiled,
        is_float8=args.fp8,
        is_gelu_fused=is_compiled,
        is_captured=not args.no_graphs and not is_int8,
    )


def _become_a_t4() -> None:
    """Its memory, and none of the attention kernels that it lacks."""
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 15 * 2**30 / total))
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)


if __name__ == "__main__":
    main()
