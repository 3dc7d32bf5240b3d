"""What the adapter search does, as tasks of one process: train and judge, draw completions, average adapters."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training.dataset import Example, load_examples
from training.judgement import judge
from training.recipe import Recipe

MAX_NEW_TOKENS = 200
MAX_CANDIDATE_TOKENS = 110


@dataclass(frozen=True)
class Train:
    """Train one recipe and judge it."""

    name: str
    recipe: Recipe
    #: Keep the even (0) or odd (1) half of the training split; None: all.
    half: int | None = None
    #: References to train on, by conversation id; None: as they are.
    labels: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Draw:
    """Complete training conversations with a saved adapter: sampled, or the best of a beam."""

    name: str
    adapter: str
    conversations: tuple[str, ...]
    num_samples: int = 1
    num_beams: int = 1


@dataclass(frozen=True)
class Average:
    """Average saved adapters and judge the result."""

    name: str
    adapters: tuple[str, ...]
    #: Rank of the average; 0: the sum of the ranks, which loses nothing.
    rank: int = 0
    num_beams: int = 1


Task = Train | Draw | Average


@dataclass(frozen=True)
class Result:
    """What came of a task."""

    name: str
    scores: dict[str, float] = field(default_factory=dict)
    completions: dict[str, list[str]] = field(default_factory=dict)
    duration_s: float = 0.0
    error: str = ""

    @property
    def score(self) -> float:
        """What runs are ranked by: the mean of all six ROUGE figures."""
        figures = [value for name, value in self.scores.items() if name.startswith("rouge") and name != "rouge_average"]
        return sum(figures) / len(figures) if figures else 0.0


class Bench:
    """One process's model and data."""

    def __init__(self, base: str, data: str, out: Path, limit: int | None) -> None:
        from worker.model import ModelSettings, load_model

        self.out = out
        self.train = load_examples(data, "train")[:limit]
        self.validation = load_examples(data, "validation")[:limit]
        self.loaded = load_model(ModelSettings(base, "none", "float32", None, "auto", out))
        self.model: Any = self.loaded.model

    def run(self, task: Task) -> Result:
        """Do a task; what goes wrong is its result."""
        start = time.perf_counter()
        try:
            result = self._run(task)
        except Exception as error:
            result = Result(task.name, error=repr(error)[:300])
        if hasattr(self.model, "unload"):
            self.model = self.model.unload()
        return replace(result, duration_s=round(time.perf_counter() - start, 1))

    def _run(self, task: Task) -> Result:
        if isinstance(task, Train):
            return self._train(task)
        return self._draw(task) if isinstance(task, Draw) else self._average(task)

    def _train(self, task: Train) -> Result:
        from training.publish import save_weights
        from training.splits import Splits
        from training.train import Outputs, train_adapter

        outputs = Outputs(folder=self.out / "runs" / task.name, is_progress_shown=False)
        splits = Splits(self._labelled(task), self.validation)
        self.model, training = train_adapter(task.recipe, self.model, self.loaded.tokenizer, splits, outputs)
        folder = self.out / "adapters" / task.name
        save_weights(self.model, folder, task.recipe.base)
        run = {"recipe": asdict(task.recipe), "training": asdict(training)}
        (folder / "run.json").write_text(json.dumps(run))
        return self._judge(task.name)

    def _labelled(self, task: Train) -> list[Example]:
        examples = [each for index, each in enumerate(self.train) if task.half is None or index % 2 == task.half]
        if task.labels is None:
            return examples
        return [replace(each, references=task.labels[each.conversation.external_id]) for each in examples]

    def _draw(self, task: Draw) -> Result:
        wanted = set(task.conversations)
        examples = [each for each in self.train if each.conversation.external_id in wanted]
        self._attach(task.adapter)
        repeated = [each for each in examples for _ in range(task.num_samples)]
        sampling = {"temperature": 0.9, "top_p": 0.95} if task.num_beams == 1 else {"num_beams": task.num_beams}
        texts = self._complete(repeated, do_sample=task.num_beams == 1, max_new_tokens=MAX_CANDIDATE_TOKENS, **sampling)
        groups = zip(*[iter(texts)] * task.num_samples, strict=True)
        return Result(
            task.name,
            completions={
                each.conversation.external_id: list(group) for each, group in zip(examples, groups, strict=True)
            },
        )

    def _average(self, task: Average) -> Result:
        self._attach(task.adapters[0])
        names = ["default"]
        for index, adapter in enumerate(task.adapters[1:]):
            self.model.load_adapter(self.out / "adapters" / adapter, f"other{index}")
            names.append(f"other{index}")
        if len(names) > 1:
            way = {"combination_type": "svd", "svd_rank": task.rank} if task.rank else {"combination_type": "cat"}
            self.model.add_weighted_adapter(names, [1 / len(names)] * len(names), "average", **way)
            self.model.set_adapter("average")
        return self._judge(task.name, num_beams=task.num_beams)

    def _attach(self, adapter: str) -> None:
        from peft import PeftModel

        self.model = PeftModel.from_pretrained(self.model, self.out / "adapters" / adapter)

    def _judge(self, name: str, **options: Any) -> Result:
        texts = self._complete(self.validation, do_sample=False, max_new_tokens=MAX_NEW_TOKENS, **options)
        means = judge(name, texts, self.validation).means()
        return Result(
            name,
            {metric: round(value, 2) for metric, value in means.items()},
            {each.conversation.external_id: [text] for each, text in zip(self.validation, texts, strict=True)},
        )

    def _complete(self, examples: Sequence[Example], **options: Any) -> list[str]:
        """transformers' own generate: the search is the one place that draws and searches beams."""
        import torch

        from aftercall.prompt import build_prompt, extract_summary

        self.model.eval()
        self.model.merge_adapter()
        prompts = [build_prompt(each.text) for each in examples]
        texts = [""] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        size = 512 if options["do_sample"] else 128
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = self.loaded.tokenizer([prompts[index] for index in chosen], return_tensors="pt", padding=True)
            batch = batch.to(self.loaded.device)
            with torch.inference_mode():
                output = self.model.generate(**batch, **options)
            completions = output[:, batch["input_ids"].shape[1] :]
            words = self.loaded.tokenizer.batch_decode(completions, skip_special_tokens=True)
            for index, text in zip(chosen, words, strict=True):
                texts[index] = extract_summary(text)
        self.model.unmerge_adapter()
        return texts
