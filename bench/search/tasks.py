"""What the adapter search does, as tasks of one process: train and judge, average and judge."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training.data.dataset import Example, load_examples
from training.fit.recipe import Recipe
from training.judge.judgement import judge

MAX_NEW_TOKENS = 200


@dataclass(frozen=True)
class Train:
    """Train one recipe and judge it."""

    name: str
    recipe: Recipe

    @property
    def guess_s(self) -> float:
        """Seconds it may take beside four others on an H200, before any was seen to end."""
        return 20.0 + 50.0 * self.recipe.num_epochs


@dataclass(frozen=True)
class Average:
    """Average saved adapters and judge the result."""

    name: str
    adapters: tuple[str, ...]
    #: How the completions are decoded: options of transformers' generate.
    decoding: tuple[tuple[str, Any], ...] = ()

    @property
    def guess_s(self) -> float:
        """As in `Train`; a beam takes several times a greedy completion."""
        return 30.0 if self.decoding else 9.0


Task = Train | Average


@dataclass(frozen=True)
class Result:
    """What came of a task."""

    name: str
    scores: dict[str, float] = field(default_factory=dict)
    completions: dict[str, str] = field(default_factory=dict)
    duration_s: float = 0.0
    training_s: float = 0.0
    judging_s: float = 0.0
    error: str = ""

    @property
    def score(self) -> float:
        """What runs are ranked by: the mean of all six ROUGE figures."""
        figures = [value for name, value in self.scores.items() if name.startswith("rouge") and name != "rouge_average"]
        return sum(figures) / len(figures) if figures else 0.0


class Bench:
    """One process's model and data."""

    def __init__(self, base: str, data: str, out: Path, limit: int | None) -> None:
        from worker.loading.load import ModelSettings, load_model

        self.out = out
        self.train = load_examples(data, "train")[:limit]
        self.validation = load_examples(data, "validation")[:limit]
        self.loaded = load_model(ModelSettings(base, "none", "float32", None, "auto", out))
        self.model: Any = self.loaded.model

    def run(self, task: Task) -> Result:
        """Do a task; what goes wrong is its result."""
        start = time.perf_counter()
        try:
            result = self._train(task) if isinstance(task, Train) else self._average(task)
        except Exception as error:
            result = Result(task.name, error=repr(error)[:300])
        if hasattr(self.model, "unload"):
            self.model = self.model.unload()
        return replace(result, duration_s=round(time.perf_counter() - start, 1))

    def _train(self, task: Train) -> Result:
        from training.data.splits import Splits
        from training.fit.arguments import Outputs
        from training.fit.train import train_adapter
        from training.registry.publish import save_weights

        outputs = Outputs(folder=self.out / "runs" / task.name, is_progress_shown=False)
        # Nothing is watched while it trains: the judgement says more than the loss, and the time is short.
        splits = Splits(self.train, [])
        self.model, training = train_adapter(task.recipe, self.model, self.loaded.tokenizer, splits, outputs)
        folder = self.out / "adapters" / task.name
        save_weights(self.model, folder, task.recipe.base)
        run = {"recipe": asdict(task.recipe), "training": asdict(training)}
        (folder / "run.json").write_text(json.dumps(run))
        return replace(self._judge(task.name), training_s=training.duration_s)

    def _average(self, task: Average) -> Result:
        """Weights of runs that began alike, averaged name by name as `training.fit.averaging` does."""
        from peft import PeftModel, set_peft_model_state_dict

        from training.fit.averaging import average, read_weights
        from training.registry.publish import save_weights

        folders = [self.out / "adapters" / adapter for adapter in task.adapters]
        weights = []
        for folder in folders:
            self.model = PeftModel.from_pretrained(self.model, folder)
            weights.append(read_weights(self.model))
            self.model = self.model.unload()
        self.model = PeftModel.from_pretrained(self.model, folders[0])
        set_peft_model_state_dict(self.model, average(weights))
        base = json.loads((folders[0] / "adapter_config.json").read_text())["base_model_name_or_path"]
        save_weights(self.model, self.out / "adapters" / task.name, base)
        return self._judge(task.name, **dict(task.decoding))

    def _judge(self, name: str, **options: Any) -> Result:
        start = time.perf_counter()
        texts = self._complete(self.validation, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, **options)
        means = judge(name, texts, self.validation).means()
        return Result(
            name,
            {metric: round(value, 2) for metric, value in means.items()},
            {each.conversation.external_id: text for each, text in zip(self.validation, texts, strict=True)},
            judging_s=round(time.perf_counter() - start, 1),
        )

    def _complete(self, examples: Sequence[Example], **options: Any) -> list[str]:
        """All at once by transformers' own generate, which also searches beams."""
        import torch

        from aftercall.prompt import build_prompt, extract_summary

        self.model.eval()
        self.model.merge_adapter()
        prompts = [build_prompt(each.text) for each in examples]
        batch = self.loaded.tokenizer(prompts, return_tensors="pt", padding=True).to(self.loaded.device)
        with torch.inference_mode():
            output = self.model.generate(**batch, **options)
        self.model.unmerge_adapter()
        completions = output[:, batch["input_ids"].shape[1] :]
        words = self.loaded.tokenizer.batch_decode(completions, skip_special_tokens=True)
        return [extract_summary(text) for text in words]
