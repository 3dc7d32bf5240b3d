"""The phi-1_5 recipe at full size: each measure on top of the one before it, beside plain SFTTrainer.

    python -m bench.training --tokenizer FOLDER --data ../shared/data/tweetsumm --out FOLDER

The model has phi-1_5's exact shape and random weights: speed and memory are those of the real one. All trainers see
the same pairs of conversation and reference in the same order, so their loss curves are comparable step by step: only
conversations with exactly three references are used, nothing is shuffled, LoRA begins from the same weights and drops
nothing out. Every loss of every step is written to `curves.json`, and their picture to `curves.png`.
"""

import argparse
import gc
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import AutoTokenizer, PhiForCausalLM, PrinterCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from aftercall.prompt import build_prompt
from bench.training_table import Outcome, Table, plain_name
from bench.workload import phi_config
from training.data.dataset import Example, load_examples
from training.data.trees import TreeEncoder
from training.fit.arguments import checkpointing
from training.fit.lora import make_lora
from training.fit.recipe import get_recipe
from training.fit.speed import Speed, optimize_layers
from training.fit.targets import find_targets
from training.fit.trainer import TreeTrainer, make_collator, make_dataset
from worker.loading.precision import quantization_config

RECIPE = replace(get_recipe("phi-1_5-tweetsumm"), lora_dropout=0.0)
NUM_REFERENCES = 3
#: Steps before the clock starts: kernels load, layers compile, memory settles.
NUM_WARMUP_STEPS = 5
PLAIN = Speed(is_dequantizing=False)
DEQUANTIZED = Speed()
COMPILED = Speed(is_compiling=True)


class Sequential:
    """Mixed into a trainer: rows in their order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset)


class PlainTrainer(Sequential, SFTTrainer):
    """SFTTrainer as it comes."""


class PackedTrainer(Sequential, TreeTrainer):
    """Ours."""


class Clock(TrainerCallback):
    """Seconds of the warm-up, and from its end to the last step."""

    def __init__(self) -> None:
        self.begin = self.start = 0.0
        self.warmup_s = self.duration_s = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.begin = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == NUM_WARMUP_STEPS:
            torch.cuda.synchronize()
            self.start = time.perf_counter()
            self.warmup_s = self.start - self.begin

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.cuda.synchronize()
        self.duration_s = time.perf_counter() - self.start


@dataclass(frozen=True)
class Case:
    """One measurement."""

    name: str
    dataset: Dataset
    #: Rows of `dataset` in a step.
    batch_size: int
    num_pairs: int
    collator: Any = None
    speed: Speed = PLAIN
    is_checkpointing: bool = False

    @property
    def is_ours(self) -> bool:
        """Packed trees, or SFTTrainer as it comes."""
        return self.collator is not None


def make_model(folder: Path, dtype: torch.dtype) -> Any:
    """The random model from its folder, in NF4 as the recipe says."""
    return PhiForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map={"": 0}, quantization_config=quantization_config("nf4", dtype)
    )


def make_arguments(case: Case, num_steps: int) -> SFTConfig:
    """The recipe's settings; those of a packed batch where the case is ours."""
    ours: dict[str, Any] = {
        "remove_unused_columns": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "logging_nan_inf_filter": False,
    }
    return SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=case.batch_size,
        learning_rate=RECIPE.learning_rate,
        lr_scheduler_type=RECIPE.schedule,
        max_length=None,
        max_steps=num_steps + NUM_WARMUP_STEPS,
        bf16=True,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **checkpointing(case.is_checkpointing),
        **(ours if case.is_ours else {}),
    )


def measure(case: Case, model: Any, tokenizer: Any, num_steps: int) -> Outcome:
    """Train for `num_steps` after the warm-up."""
    clock = Clock()
    set_seed(RECIPE.seed)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    trainer = (PackedTrainer if case.is_ours else PlainTrainer)(
        model=model,
        args=make_arguments(case, num_steps),
        train_dataset=case.dataset,
        processing_class=tokenizer,
        data_collator=case.collator,
        peft_config=make_lora(RECIPE, find_targets(model, RECIPE.target_modules)),
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    optimize_layers(trainer.model, case.speed)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return Outcome(clock.duration_s / num_steps, clock.warmup_s, torch.cuda.max_memory_allocated() / 2**30, losses)


def measure_ceiling() -> float:
    """bf16 matrix product on random data, in TFLOP/s."""
    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        a @ b
    torch.cuda.synchronize()
    return 20 * 2 * size**3 / (time.perf_counter() - start) / 1e12


def make_cases(examples: Sequence[Example], tokenizer: Any) -> list[Case]:
    """Plain, and ours with each measure on top of the one before, on the first reference and on all."""
    collator = make_collator(tokenizer.pad_token_id)
    encoder = TreeEncoder(tokenizer)
    first = [replace(example, references=example.references[:1]) for example in examples]

    def plain(chosen: Sequence[Example]) -> Dataset:
        return Dataset.from_list(
            [
                {"prompt": build_prompt(example.text), "completion": reference}
                for example in chosen
                for reference in example.references
            ]
        )

    def packed(chosen: Sequence[Example]) -> Dataset:
        return make_dataset([encoder.encode(example, 2048) for example in chosen])

    firsts, alls = packed(first), packed(examples)
    return [
        Case(plain_name(4), plain(first), 4, 4),
        Case("ours: packed", firsts, 4, 4, collator),
        Case("ours: packed, dequantized", firsts, 4, 4, collator, DEQUANTIZED),
        Case(plain_name(12), plain(examples), 12, 12),
        Case("ours: prompts shared", alls, 4, 12, collator),
        Case("ours: prompts shared, dequantized", alls, 4, 12, collator, DEQUANTIZED),
        Case("ours: packed, dequantized, compiled", firsts, 4, 4, collator, COMPILED),
        Case("ours: shared, dequantized, compiled", alls, 4, 12, collator, COMPILED),
        Case("SFTTrainer, checkpointing", plain(examples), 12, 12, is_checkpointing=True),
        Case("ours: shared, dequantized, 16 x 3", alls, 16, 48, collator, DEQUANTIZED),
    ]


def save_random_model(tokenizer: Any, num_layers: int) -> Path:
    """phi-1_5's exact configuration with random weights, as a folder."""
    config = phi_config(num_layers, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id)
    folder = Path(tempfile.mkdtemp())
    torch.manual_seed(0)
    with torch.device("cuda"):
        PhiForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--dtype", choices=["float16", "bfloat16"], default="float16")
    parser.add_argument("--seconds", type=float, default=120, help="begin no case after so many")
    parser.add_argument("--only", default="", help="the cases whose names this regular expression finds")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    loaded = load_examples(arguments.data, "train")
    examples = [example for example in loaded if len(example.references) == NUM_REFERENCES]
    encoder = TreeEncoder(tokenizer)
    trees = [encoder.encode(example, 2048) for example in examples]
    table = Table(
        flops_a_token=4 * arguments.layers * (4 * 2048**2 + 2 * 2048 * 8192),
        tokens_a_pair=sum(len(tree.prompt) + len(tree.completions[0]) for tree in trees) / len(trees),
        ceiling=measure_ceiling(),
    )
    print(f"bf16 matrix product: {table.ceiling:.0f} TFLOP/s; {table.tokens_a_pair:.0f} tokens a pair", flush=True)
    folder = save_random_model(tokenizer, arguments.layers)
    for case in make_cases(examples, tokenizer):
        if not re.search(arguments.only, case.name):
            continue
        if time.perf_counter() - begin > arguments.seconds:
            print(f"{case.name}: no time left")
            continue
        try:
            outcome = measure(case, make_model(folder, getattr(torch, arguments.dtype)), tokenizer, arguments.steps)
            table.add(case.name, case.num_pairs, outcome)
        except Exception as error:
            # One case's failure should not cost the others.
            print(f"{case.name}: {error!r}"[:800], flush=True)
    table.save(arguments.out)
    print(f"{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
