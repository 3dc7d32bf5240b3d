"""The search behind the shipped adapter: recipes on the GPUs at hand, judged on the validation split alone.

    python -m bench.adapter_search --data ../shared/data/tweetsumm --out FOLDER --seconds 180 --gpus 4

One run differs from the next by half a point, so recipes are compared by their mean over several orders of the data.
Every recipe gets one order; from then on, whenever a process is free, the best so far gets one more. In the end the
runs of the best recipes are averaged. Every run and its summaries are in `runs.jsonl`, the best adapters in `best/`.
"""

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.search.pool import Choose, Pool
from bench.search.tasks import Average, Result, Task, Train
from training.fit.recipe import Recipe, get_recipe

#: Where the search began; the recipe itself has become what it found.
BASE = replace(
    get_recipe("smollm2-135m-tweetsumm"),
    learning_rate=1e-3,
    lora_alpha=16,
    lora_r=16,
    num_epochs=2,
    references="agreeing",
    num_averaged_runs=1,
)
NUM_ORDERS = 4
NUM_AVERAGED = 3
BEAM = (("num_beams", 4),)
#: Left for averages after the last run.
AVERAGES_S = 14.0
NUM_KEPT = 3
#: Larger ones do not ship.
MAX_KEPT_BYTES = 10_000_000
FIGURES = ("rouge1", "rouge2", "rougeL")

#: What is changed of the recipe, the most promising first. Rank 32 would ship as 20 MB and has to win by more.
CHANGES: dict[str, dict[str, Any]] = {
    "lr2": {"learning_rate": 2e-3},
    "lr2-alpha32": {"learning_rate": 2e-3, "lora_alpha": 32},
    "lr3": {"learning_rate": 3e-3},
    "lr2-all": {"learning_rate": 2e-3, "references": "all"},
    "lr3-alpha32": {"learning_rate": 3e-3, "lora_alpha": 32},
    "lr4": {"learning_rate": 4e-3},
    "lr2-epochs3": {"learning_rate": 2e-3, "num_epochs": 3},
    "lr4-alpha32": {"learning_rate": 4e-3, "lora_alpha": 32},
    "lr2-alpha32-r32": {"learning_rate": 2e-3, "lora_alpha": 32, "lora_r": 32},
}


def make_recipes(limit: int | None) -> dict[str, Recipe]:
    """By name; with a limit, two of them and two steps each."""
    recipes = {name: replace(BASE, name=name, **change) for name, change in CHANGES.items()}
    if limit is None:
        return recipes
    return {name: replace(recipe, max_steps=2, num_epochs=1) for name, recipe in list(recipes.items())[:2]}


class Chooser:
    """Which run comes next."""

    def __init__(self, recipes: Mapping[str, Recipe]) -> None:
        self._recipes = recipes
        self._num_started = dict.fromkeys(recipes, 0)

    def __call__(self, results: Sequence[Result]) -> Task | None:
        """The first order of each recipe; then one more of the best recipe whose orders are not used up."""
        scores = {name: mean(runs) for name, runs in group_orders(results).items()}

        def rank(name: str) -> tuple[bool, float, int]:
            num_started = self._num_started[name]
            return (num_started > 0, -scores.get(name, 0.0), num_started)

        open_ones = [name for name in self._recipes if self._num_started[name] < NUM_ORDERS]
        if not open_ones:
            return None
        name = min(open_ones, key=rank)
        order = self._num_started[name]
        self._num_started[name] += 1
        return Train(f"{name}-{order}", replace(self._recipes[name], data_order=order))


def make_averages(results: Sequence[Result]) -> Iterator[Task]:
    """Of the best recipes' orders: their average, decoded greedily; that of the best also by beams."""
    whole = [name for name, runs in rank_recipes(results) if len(runs) > 1]
    for name in whole[:NUM_AVERAGED]:
        yield Average(f"{name}-mean", _runs_of(name, results))
    for name in whole[:1]:
        yield Average(f"{name}-mean-beam", _runs_of(name, results), BEAM)


def _runs_of(name: str, results: Sequence[Result]) -> tuple[str, ...]:
    return tuple(sorted(result.name for result in group_orders(results)[name]))


def group_orders(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results of runs named `recipe-order`, by recipe."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        name, _, order = result.name.rpartition("-")
        if order.isdecimal() and result.scores:
            groups.setdefault(name, []).append(result)
    return groups


def rank_recipes(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    """Recipes with their runs, the best mean first."""
    return sorted(group_orders(results).items(), key=lambda item: -mean(item[1]))


def mean(results: Sequence[Result]) -> float:
    """Mean score of several runs."""
    return sum(result.score for result in results) / len(results)


def print_table(results: Sequence[Result]) -> None:
    """What decides: each recipe's mean over its orders; then the averages."""
    rows = rank_recipes(results)
    rows += [(result.name, [result]) for result in results if result.scores and "-mean" in result.name]
    print(f"\n{'recipe':24} {'score':>6} runs {'lowest':>7} {'highest':>7}  average over references, best reference")
    for name, runs in rows:
        scores = [result.score for result in runs]
        figures = ["/".join(f"{_figure(runs, f'{key}_{of}'):.1f}" for key in FIGURES) for of in ("average", "best")]
        print(f"{name:24} {mean(runs):6.2f} {len(runs):4} {min(scores):7.2f} {max(scores):7.2f}  {'  '.join(figures)}")


def _figure(results: Sequence[Result], metric: str) -> float:
    return sum(result.scores[metric] for result in results) / len(results)


def keep_best(results: Sequence[Result], out: Path) -> None:
    """The adapters that scored best greedily and are small enough to ship, copied to one folder."""
    ranked = sorted((each for each in results if not each.name.endswith("-beam")), key=lambda result: -result.score)
    paths = [(each.name, out / "adapters" / each.name / "adapter_model.safetensors") for each in ranked]
    small = [(name, path) for name, path in paths if path.exists() and path.stat().st_size <= MAX_KEPT_BYTES]
    folder = out / "best"
    folder.mkdir(exist_ok=True)
    for name, path in small[:NUM_KEPT]:
        shutil.copy(path, folder / f"{name}.safetensors")


def one_by_one(tasks: Iterator[Task]) -> Choose:
    """A fixed order, whatever comes of it."""
    return lambda results: next(tasks, None)


def main() -> None:
    """Search within the time given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default=BASE.base)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--per-gpu", type=int, default=5, help="processes a GPU; they are bound by launching kernels")
    parser.add_argument("--limit", type=int, help="conversations of each split; for a smoke test")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pool = Pool(arguments)
    pool.run(Chooser(make_recipes(arguments.limit)), arguments.seconds - AVERAGES_S)
    pool.run(one_by_one(make_averages(list(pool.results))), arguments.seconds)
    print_table(pool.results)
    keep_best(pool.results, arguments.out)


if __name__ == "__main__":
    main()
