"""Training on preferences: reviews become pairs, and DPO moves a model from what was served to what was written."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import Engine, update

from aftercall.models import Summary
from tests.fixtures.command import Answer
from tests.fixtures.model import build_tiny_model
from tests.fixtures.reviews import read, submit_thirty
from tests.unit.training.examples import make_example
from tests.unit.training.learner import MAX_NEW_TOKENS, RECIPE, SUMMARY, save_base
from training.data.example import Example, Pair
from training.data.review import Draw, export_review
from training.data.review_import import import_review
from training.data.splits import Splits, read_splits
from training.data.trees import TreeEncoder
from training.fit.arguments import Outputs
from training.fit.preference import encode_pairs, train_on_pairs
from training.fit.speed import Speed
from training.fit.train import train_adapter

CHOSEN, REJECTED = "Refund sent.", "zzz zzz"
EXAMPLES = [
    replace(make_example(str(n), CHOSEN, user=f"order {n} late"), pairs=(Pair(CHOSEN, REJECTED),)) for n in range(8)
]


def margin(model: Any, tokenizer: Any, examples: list[Example]) -> float:
    """By how much more likely the chosen summaries are than the rejected ones."""
    total = 0.0
    for pair in encode_pairs(tokenizer, examples, RECIPE):
        for sign, completion in zip((1, -1), pair.completions, strict=True):
            tokens = torch.tensor([[*pair.prompt, *completion]])
            with torch.inference_mode():
                scores = model(input_ids=tokens).logits[0, len(pair.prompt) - 1 : -1].log_softmax(-1)
            total += sign * float(scores.gather(1, torch.tensor(completion)[:, None]).sum())
    return total


@pytest.mark.parametrize("is_continued", [False, True])
def test_dpo_prefers_what_people_wrote(is_continued: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the base model, and from an adapter that was trained on summaries."""
    tiny = build_tiny_model("llama")
    model = tiny.model
    recipe = replace(RECIPE, max_steps=3, dpo_learning_rate=1e-2, dpo_epochs=4.0)
    if is_continued:
        outputs = Outputs(folder=tmp_path / "sft", is_progress_shown=False)
        model, _ = train_adapter(recipe, model, tiny.tokenizer, Splits(EXAMPLES, ()), outputs)
    before = margin(model.eval(), tiny.tokenizer, EXAMPLES)
    capsys.readouterr()
    trained, run = train_on_pairs(
        replace(recipe, max_steps=0), model, tiny.tokenizer, EXAMPLES, Outputs(folder=tmp_path / "dpo"), Speed()
    )
    assert margin(trained.eval(), tiny.tokenizer, EXAMPLES) > before + 1
    assert list(trained.peft_config) == ["default"]
    assert run.preference is not None
    # Eight pairs in batches of four, four times; the first loss is that of a model that is its own reference.
    assert (run.preference.num_pairs, run.num_steps) == (8, 8)
    assert run.preference.losses[0] == pytest.approx(0.693, abs=0.01)
    assert run.preference.losses[-1] < run.preference.losses[0]
    assert run.preference.accuracies[-1] == 1.0
    shown = capsys.readouterr().out
    assert "DPO on 8 pairs of summaries\nAbout " in shown
    assert " GiB on top of the loaded model" in shown


def test_prompt_and_summaries_are_encoded_as_in_serving() -> None:
    tiny = build_tiny_model("llama")
    (pair,) = encode_pairs(tiny.tokenizer, EXAMPLES[:1], RECIPE)
    tree = TreeEncoder(tiny.tokenizer).encode(EXAMPLES[0], RECIPE.max_prompt_tokens)
    assert (pair.prompt, pair.completions[0]) == (tree.prompt, tree.completions[0])
    assert tiny.tokenizer.decode(pair.completions[1][:-1]) == REJECTED


def test_imported_corrections_are_pairs_with_what_was_served(database: Engine, tmp_path: Path) -> None:
    submit_thirty(database)
    with database.begin() as connection:
        connection.execute(update(Summary).values(reasons=json.dumps(["unsupported", "copied"])))
    review, ours = tmp_path / "ann.csv", tmp_path / "ours.csv"
    export_review(database, 1, review, Draw(30))
    rows = read(review)
    with review.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for number, row in enumerate(rows):
            corrected = f"The order of {row['id']} is late." if number < 20 else ""
            writer.writerow(row | {"corrected": corrected, "reason": "names the order wrongly"})
    import_review(database, review, ours)
    splits = read_splits([str(ours)])
    pairs = [pair for example in [*splits.train, *splits.validation] for pair in example.pairs]
    assert len(pairs) == 20
    assert {pair.rejected.startswith("=late ") for pair in pairs} == {True}
    assert {pair.chosen.startswith("The order of case-") for pair in pairs} == {True}
    log = read(tmp_path / "ours.reviews.csv")
    assert [row["decision"] for row in log] == ["corrected"] * 20 + ["approved"] * 10
    assert {row["reason"] for row in log} == {"names the order wrongly"}
    assert {(row["reviewer"], row["adapter"], row["channel"], row["flags"]) for row in log} == {
        ("ann", "a", "night", "unsupported copied")
    }
    import_review(database, review, ours)
    assert read(tmp_path / "ours.reviews.csv") == log


def test_rows_of_prompt_chosen_and_rejected_are_pairs(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"user: order {n} late\nagent: sorry", "chosen": CHOSEN, "rejected": REJECTED} for n in range(20)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = read_splits([str(tmp_path / "pairs.jsonl")])
    assert {example.pairs for example in splits.train} == {(Pair(CHOSEN, REJECTED),)}


def write_pairs(folder: Path) -> Path:
    """A folder of labelled conversations whose training rows say what was served."""
    folder.mkdir()
    for split, numbers in (("train", range(24)), ("validation", range(24, 28))):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "conversation", "summary", "served"])
            rows.writerows([n, f"user: order {n} late\nagent: sorry", SUMMARY, REJECTED] for n in numbers)
    return folder


def test_the_command_judges_it_next_to_sft_alone(
    aftercall: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("AFTERCALL_MAX_NEW_TOKENS", str(MAX_NEW_TOKENS))
    save_base(tmp_path)
    options = ("--base", RECIPE.base, "--learning-rate", "2e-2", "--max-steps", "6", "--max-memory", "1")
    answer = aftercall("train", "--data", str(write_pairs(tmp_path / "pairs")), *options, "--method", "sft+dpo")
    assert answer.exit_code == 0, answer.errors
    assert "1.0 GiB may be used" in answer.output
    (folder,) = [path for path in (tmp_path / "home" / "adapters").iterdir() if path.is_dir()]
    card = (folder / "README.md").read_text()
    assert "- **Preferences**: DPO on 24 pairs, 6 steps: loss " in card
    assert "| SFT alone, on the same data |" in card
    assert "- SFT alone, on the same data: " in card
    assert "- method: sft+dpo" in card


def test_without_preferences_dpo_is_refused(aftercall: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "labelled.csv").write_text(
        "id,conversation,summary\n" + "".join(f"{n},user: order {n} late\\nagent: sorry,Refund.\n" for n in range(40))
    )
    answer = aftercall("train", "--data", "labelled.csv", "--method", "dpo")
    assert answer.exit_code == 3
    assert "no conversation to train on has a preference. Give --data a training file" in answer.errors


def test_the_packaged_model_takes_a_few_steps(loaded_model: Any, tmp_path: Path) -> None:
    recipe = replace(RECIPE, batch_size=1, max_steps=2, learning_rate=1e-3, dpo_learning_rate=1e-3)
    outputs = Outputs(folder=tmp_path / "sft", is_progress_shown=False)
    tokenizer = loaded_model.tokenizer
    trained, _ = train_adapter(recipe, loaded_model.model, tokenizer, Splits(EXAMPLES[:2], ()), outputs)
    try:
        before = margin(trained.eval(), tokenizer, EXAMPLES[:2])
        second = replace(outputs, folder=tmp_path / "dpo")
        trained, run = train_on_pairs(recipe, trained, tokenizer, EXAMPLES[:2], second, Speed())
        assert run.num_steps == 2
        assert margin(trained.eval(), tokenizer, EXAMPLES[:2]) > before
    finally:
        trained.unload()
