"""The search behind the shipped adapter: many recipes on the GPUs at hand, judged on the validation split alone.

    python -m bench.adapter_search --data ../shared/data/tweetsumm --out FOLDER --seconds 600 --gpus 4

Stage by stage, each printed as a table: recipes on the references as people wrote them; then completions from models
that did not see the conversation, of which the one closest to its references, or the best of a beam, becomes a label;
then averages of several runs, and what beam search would add to the best. Every run is in runs.jsonl, its adapter in
`adapters/`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.search_pool import Pool
from bench.search_tasks import Average, Draw, Result, Task, Train
from training.dataset import Example, load_examples
from training.labels import choose_references
from training.recipe import Recipe, get_recipe
from training.rouge import score_references

BASE = replace(get_recipe("smollm2-135m-tweetsumm"), seed=42)
NUM_SAMPLES = 16
NUM_BEAMS = 4
SEEDS = (42, 1, 2)

#: In the order of their promise: what the deadline cuts off is the least of it.
CHANGES: dict[str, dict[str, Any]] = {
    "as-shipped": {},
    "epochs3": {"num_epochs": 3},
    "all": {"references": "all", "num_epochs": 3},
    "closest": {"references": "closest", "num_epochs": 4},
    "lr5e-4": {"learning_rate": 5e-4},
    "lr2e-3": {"learning_rate": 2e-3},
    "r32": {"lora_r": 32, "lora_alpha": 32},
    "r64-stabilized": {"lora_r": 64, "is_rank_stabilized": True, "learning_rate": 5e-4},
    "alpha32": {"lora_alpha": 32},
    "dropout15": {"lora_dropout": 0.15},
    "batch10": {"batch_size": 10},
    "attention": {"target_modules": ("q_proj", "k_proj", "v_proj", "o_proj")},
    "decay": {"weight_decay": 0.1},
}


def make_recipes(limit: int | None) -> dict[str, Recipe]:
    """The recipes of the first stage; with a limit, two of them and two steps each."""
    recipes = {name: replace(BASE, name=name, **change) for name, change in CHANGES.items()}
    if limit is None:
        return recipes
    return {name: replace(recipe, max_steps=2) for name, recipe in list(recipes.items())[:2]}


def make_draws(examples: Sequence[Example], num_parts: int) -> list[Task]:
    """Each half of the conversations by the model of the other half, in parts for the processes."""
    ids = [example.conversation.external_id for example in examples]
    draws: list[Task] = []
    for half in (0, 1):
        for part in range(num_parts):
            chosen = tuple(ids[half::2][part::num_parts])
            draws.append(Draw(f"beam{half}-{part}", f"half{1 - half}", chosen, num_beams=NUM_BEAMS))
            draws.append(Draw(f"samples{half}-{part}", f"half{1 - half}", chosen, num_samples=NUM_SAMPLES))
    return draws


def make_labels(examples: Sequence[Example], drawn: Sequence[Result]) -> dict[str, dict[str, tuple[str, ...]]]:
    """By name of the policy: what each conversation is trained on. Without a completion, what people wrote."""
    samples = _completions(drawn, "samples")
    beams = _completions(drawn, "beam")
    labels: dict[str, dict[str, tuple[str, ...]]] = {
        name: {} for name in ("people", "beam", "people+beam", "closest-sample", "people+closest-sample")
    }
    for example, chosen in zip(examples, choose_references(examples, "agreeing"), strict=True):
        key = example.conversation.external_id
        people = chosen.references
        beam = tuple(beams.get(key, []))
        closest = tuple(sorted(samples.get(key, []), key=lambda text: -_closeness(text, example))[:1])
        labels["people"][key] = people
        labels["beam"][key] = beam or people
        labels["people+beam"][key] = people + beam
        labels["closest-sample"][key] = closest or people
        labels["people+closest-sample"][key] = people + closest
    return labels


def _completions(drawn: Sequence[Result], kind: str) -> dict[str, list[str]]:
    return {
        key: [text for text in texts if text]
        for result in drawn
        if result.name.startswith(kind)
        for key, texts in result.completions.items()
    }


def _closeness(text: str, example: Example) -> float:
    return score_references(text, example.references).average.mean


def make_averages(results: Sequence[Result]) -> list[Task]:
    """Averages of the best runs, and the best one under beam search."""
    ranked = sorted((result for result in results if result.score), key=lambda result: -result.score)
    names = tuple(result.name for result in ranked)
    if not names:
        return []
    return [
        Average(f"beam{NUM_BEAMS}", names[:1], num_beams=NUM_BEAMS),
        Average("top4-r16", names[:4], rank=16),
        Average("top4-r32", names[:4], rank=32),
        Average("top4", names[:4]),
    ]


def main() -> None:
    """Run the stages within the time given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default=BASE.base)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--per-gpu", type=int, default=3, help="processes a GPU; they are bound by launching kernels")
    parser.add_argument("--limit", type=int, help="conversations of each split; for a smoke test")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    examples = load_examples(str(arguments.data), "train")[: arguments.limit]
    pool = Pool(arguments)
    recipes = make_recipes(arguments.limit)
    halves: list[Task] = [Train(f"half{half}", recipes["as-shipped"], half) for half in (0, 1)]
    tried = pool.run("recipes", [*halves, *(Train(*item) for item in recipes.items())], 0.45 * arguments.seconds)
    drawn = pool.run("completions", make_draws(examples, arguments.gpus), 0.6 * arguments.seconds)
    ranked = [recipes[result.name] for result in tried if result.name in recipes]
    best = replace(ranked[0] if ranked else recipes["as-shipped"], references="all")
    relabelled = [
        Train(f"{name}-seed{seed}", replace(best, name=name, seed=seed), labels=labels)
        for seed in SEEDS[: 1 if arguments.limit else None]
        for name, labels in make_labels(examples, drawn).items()
    ]
    results = [*tried, *pool.run("labels", relabelled, 0.9 * arguments.seconds)]
    pool.run("averages", make_averages(results), arguments.seconds)


if __name__ == "__main__":
    main()
