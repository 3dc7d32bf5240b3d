"""The phi-1_5 recipe at full size: tokens/s and peak memory, beside plain SFTTrainer with the same settings.

    python -m bench.training --tokenizer FOLDER --data ../shared/data/tweetsumm

The model has phi-1_5's exact shape and random weights: speed and memory are those of the real one. Both trainers see
the same pairs of conversation and reference in the same order, so their loss curves are comparable step by step: only
conversations with exactly three references are used, and nothing is shuffled.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import (
    AutoTokenizer,
    BitsAndBytesConfig,
    PhiConfig,
    PhiForCausalLM,
    PrinterCallback,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from aftercall.prompt import build_prompt
from training.dataset import Example, load_examples
from training.recipe import get_recipe
from training.train import make_lora
from training.trainer import TreeTrainer, make_collator, make_dataset
from training.trees import encode_tree

NUM_REFERENCES = 3
#: Steps before the clock starts: kernels load, memory settles.
NUM_WARMUP_STEPS = 5


class Sequential:
    """Mixed into a trainer: rows in their order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset)


class PlainTrainer(Sequential, SFTTrainer):
    """SFTTrainer as it comes."""


class PackedTrainer(Sequential, TreeTrainer):
    """Ours."""


class Clock(TrainerCallback):
    """Seconds from the end of the warm-up to the last step."""

    def __init__(self) -> None:
        self.start = 0.0
        self.duration_s = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.cuda.synchronize()
        if state.global_step == NUM_WARMUP_STEPS:
            self.start = time.perf_counter()
        self.duration_s = time.perf_counter() - self.start


@dataclass(frozen=True)
class Case:
    """One measurement."""

    name: str
    trainer: type
    dataset: Dataset
    batch_size: int
    is_checkpointing: bool = False
    collator: Any = None


def make_model(folder: Path, quantization: str) -> Any:
    """The random model from its folder, quantized as the recipe says."""
    options: dict[str, Any] = {"dtype": torch.bfloat16, "device_map": {"": 0}}
    if quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return PhiForCausalLM.from_pretrained(folder, **options)


def measure(case: Case, model: Any, tokenizer: Any, num_steps: int) -> tuple[float, float, list[float]]:
    """Seconds a step, peak memory in GiB, and the loss of each step."""
    clock = Clock()
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=case.batch_size,
        learning_rate=2e-4,
        lr_scheduler_type="cosine",
        max_steps=num_steps + NUM_WARMUP_STEPS,
        gradient_checkpointing=case.is_checkpointing,
        bf16=True,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=case.collator is None,
        dataset_kwargs={"skip_prepare_dataset": True} if case.collator else None,
    )
    torch.cuda.reset_peak_memory_stats()
    trainer = case.trainer(
        model=model,
        args=arguments,
        train_dataset=case.dataset,
        processing_class=tokenizer,
        data_collator=case.collator,
        peft_config=make_lora(replace(get_recipe("phi-1_5-tweetsumm"), lora_dropout=0.0)),
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    peak = torch.cuda.max_memory_allocated() / 2**30
    print(f"trainable {trainer.model.get_nb_trainable_parameters()}")
    trainer.model.unload()
    return clock.duration_s / num_steps, peak, losses


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
    """Plain and packed, on all references and on the first alone."""
    collator = make_collator(tokenizer.pad_token_id)
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
        return make_dataset([encode_tree(tokenizer, example, 2048) for example in chosen])

    return [
        Case("plain, first reference, batch 4", PlainTrainer, plain(first), 4),
        Case("ours,  first reference, batch 4", PackedTrainer, packed(first), 4, collator=collator),
        Case("plain, 3 references, batch 4 x 3", PlainTrainer, plain(examples), 12),
        Case("ours,  3 references, batch 4 x 3", PackedTrainer, packed(examples), 4, collator=collator),
        Case("plain, 3 refs, 4 x 3, checkpointing", PlainTrainer, plain(examples), 12, True),
        Case("plain, 3 references, batch 16 x 3", PlainTrainer, plain(examples), 48),
        Case("ours,  3 references, batch 16 x 3", PackedTrainer, packed(examples), 16, collator=collator),
    ]


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--layers", type=int, default=24)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    loaded = load_examples(arguments.data, "train")
    examples = [example for example in loaded if len(example.references) == NUM_REFERENCES]
    config = PhiConfig(
        vocab_size=51200,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=arguments.layers,
        num_attention_heads=32,
        max_position_embeddings=2048,
        partial_rotary_factor=0.5,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    folder = Path(tempfile.mkdtemp())
    torch.manual_seed(0)
    with torch.device("cuda"):
        PhiForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    linear = arguments.layers * (4 * 2048**2 + 2 * 2048 * 8192)
    ceiling = measure_ceiling()
    print(f"bf16 matrix product: {ceiling:.0f} TFLOP/s")
    lengths = [encode_tree(tokenizer, example, 2048) for example in examples]
    tokens_a_pair = sum(len(t.prompt) + len(t.completions[0]) for t in lengths) / len(lengths)
    model = make_model(folder, "nf4")
    curves: dict[str, list[float]] = {}
    for case in make_cases(examples, tokenizer):
        try:
            seconds, peak, losses = measure(case, model, tokenizer, arguments.steps)
        except torch.OutOfMemoryError as error:
            print(f"{case.name}: {error}"[:200])
            continue
        curves[case.name] = losses
        pairs = case.batch_size * (NUM_REFERENCES if case.collator and "first" not in case.name else 1)
        tokens = pairs * tokens_a_pair
        share = 4 * linear * tokens / seconds / 1e12 / ceiling
        print(
            f"{case.name:36} {1000 * seconds:7.1f} ms/step {pairs / seconds:7.1f} pairs/s "
            f"{tokens / seconds:9.0f} tokens/s {peak:6.2f} GiB  {100 * share:5.1f}% of the ceiling  "
            f"loss {losses[0]:.4f} {losses[9]:.4f} {losses[-1]:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
