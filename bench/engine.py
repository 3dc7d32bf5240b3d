"""Conversations a second of the engine alone, on TweetSumm's prompt lengths and completions of fixed length.

python -m bench.engine                       # Phi-1.5's shape with random weights, on the GPU
python -m bench.engine --baseline hf         # transformers' generate on the same prompts
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from transformers import AutoTokenizer

from bench.workload import random_phi, random_prompts, read_lengths
from worker.engine.base import Completion, SamplingSettings
from worker.engine.build import assemble_engine
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner, SampledTokens
from worker.engine.scheduler import Step
from worker.engine.stopping import StopRule


class TimedRunner(ModelRunner):
    """Notes how long the device worked on each kind of step, without making it wait."""

    def __init__(self, model: Any, settings: SamplingSettings, options: EngineOptions) -> None:
        self.spans: list[tuple[Step, int, torch.cuda.Event, torch.cuda.Event]] = []
        super().__init__(model, settings, options)

    def launch(self, step: Step) -> SampledTokens:
        """Run one step between two events."""
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        num_tokens = sum(s.num_tokens for s in step.sequences) if step.is_prefill else len(step.sequences)
        start.record()
        tokens = super().launch(step)
        end.record()
        self.spans.append((step, num_tokens, start, end))
        return tokens

    def report(self, num_prompts: int) -> str:
        """Milliseconds a conversation, by kind of step."""
        torch.cuda.synchronize()
        parts = []
        for kind, is_prefill in (("prefill", True), ("decode", False)):
            spans = [span for span in self.spans if span[0].is_prefill is is_prefill]
            ms = sum(start.elapsed_time(end) for _, _, start, end in spans)
            num_tokens = sum(span[1] for span in spans)
            parts.append(
                f"{kind} {ms / num_prompts:.3f} ms/conv ({len(spans)} steps, {num_tokens / ms * 1e3:,.0f} tokens/s)"
            )
        return ", ".join(parts)


def run_engine(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], settings: SamplingSettings, options: EngineOptions
) -> str:
    """One warm-up and one timed pass; a line of figures."""
    began = perf_counter()
    runner = TimedRunner(model, settings, options)
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
        f"first summaries after {first_s:.1f} s, {runner.num_pages} pages"
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=4096, help="conversations")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--max-num-seqs", type=int, default=1024)
    parser.add_argument("--max-num-batched-tokens", type=int, default=8192)
    parser.add_argument("--fp8", action="store_true", help="8-bit linear layers")
    parser.add_argument("--eager", action="store_true", help="do not compile the layers")
    parser.add_argument("--lengths", type=Path, help="JSON list of prompt lengths; TweetSumm's by default")
    parser.add_argument("--tokenizer", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="name or folder")
    parser.add_argument("--baseline", choices=["hf"])
    parser.add_argument("--batch-size", type=int, default=64, help="of the baseline")
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    prompts = random_prompts(read_lengths(args.lengths, tokenizer), args.num, vocab_size=51200)
    model = random_phi("cuda", torch.bfloat16)
    if args.baseline == "hf":
        with torch.inference_mode():
            print(run_generate(model, prompts, args.batch_size, args.max_new_tokens))
        return
    options = EngineOptions(
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        min_prefill_tokens=args.max_num_batched_tokens // 2,
        is_compiled=not args.eager,
        is_float8=args.fp8,
    )
    settings = SamplingSettings(max_new_tokens=args.max_new_tokens)
    print(run_engine(model, tokenizer, prompts, settings, options))


if __name__ == "__main__":
    main()
