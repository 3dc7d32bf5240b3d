"""The adapter that ships: whole, made for the embedded default, and honest about where it comes from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters import find_shipped
from aftercall import profile
from aftercall.errors import SourceError
from aftercall.settings import PACKAGED_MODEL
from training.data.splits import check_unseen, load_held_out, load_splits
from training.fit.recipe import check_recipe
from training.fit.training_run import LossPoint, TrainingRun
from training.judge.baselines import judge_baselines
from training.judge.judgement import EVALUATION_FILE, judge, load_judgement
from training.registry.card import TWEETSUMM_LICENCES, Card, render_card
from training.registry.gate import compare_at_gate
from worker.adapters.manifest import check_adapter, read_manifest

TWEETSUMM = Path(__file__).parents[4] / "shared" / "data" / "tweetsumm"


@pytest.fixture
def shipped() -> Path:
    folder = find_shipped(PACKAGED_MODEL)
    assert folder
    return folder


def test_it_is_whole_and_made_for_this_version(shipped: Path) -> None:
    manifest = check_adapter(shipped, PACKAGED_MODEL, profile.TWEETSUMM.id)
    # Trained on texts of the first cleaner. Its summaries score the same on texts of this one: see the test below.
    assert (shipped.name, manifest.cleaner_version) == (manifest.digest, "1")
    assert json.loads((shipped / "adapter_config.json").read_text())["base_model_name_or_path"] == PACKAGED_MODEL


def test_its_card_states_the_licences_and_the_figures_of_its_judgement(shipped: Path) -> None:
    card = (shipped / "README.md").read_text()
    assert TWEETSUMM_LICENCES in card
    means = load_judgement(shipped / EVALUATION_FILE).means()
    assert f"| this adapter | {means['rouge1_average']:.1f} | {means['rouge2_average']:.1f} |" in card


def test_its_card_is_what_its_figures_make_of_it(shipped: Path) -> None:
    document = json.loads((shipped / "card.json").read_bytes())
    curve = tuple(LossPoint(**point) for point in document["training"]["curve"])
    card = Card(
        **document
        | {
            "manifest": read_manifest(shipped),
            "recipe": check_recipe(document["recipe"], "card.json"),
            "training": TrainingRun(**document["training"] | {"curve": curve}),
        }
    )
    assert (shipped / "README.md").read_text() == render_card(card)


def test_its_judgement_stays_comparable_with_those_that_say_how_they_were_written(shipped: Path) -> None:
    kept = load_judgement(shipped / EVALUATION_FILE)
    assert kept.is_comparable(replace(kept, written_as="quantization none, float32"))


def test_no_adapter_ships_for_an_unknown_base() -> None:
    assert find_shipped("no-such-model") is None


@pytest.mark.skipif(not TWEETSUMM.is_dir(), reason=f"the TweetSumm rows are not at {TWEETSUMM}")
def test_its_summaries_score_as_they_say_and_beat_every_baseline(shipped: Path) -> None:
    splits = load_splits([str(TWEETSUMM)])
    check_adapter(shipped, PACKAGED_MODEL, profile.TWEETSUMM.id)
    kept = load_judgement(shipped / EVALUATION_FILE)
    judged = judge(kept.name, [verdict.summary for verdict in kept.verdicts], splits.validation)
    assert judged.means() == pytest.approx(kept.means())
    for baseline in judge_baselines(splits.validation)[1:]:
        assert compare_at_gate(judged, baseline).differences["rouge_average"].low > 0


@pytest.mark.skipif(not TWEETSUMM.is_dir(), reason=f"the TweetSumm rows are not at {TWEETSUMM}")
def test_it_knows_what_it_was_trained_on(shipped: Path) -> None:
    splits = load_splits([str(TWEETSUMM)])
    check_unseen(shipped, splits.validation)
    with pytest.raises(SourceError, match=f"869 of 869 conversations were trained on by {shipped.name}"):
        check_unseen(shipped, splits.train)
    # Of a file alone, one in ten is held out: every one of those was trained on with its folder.
    held_out = load_held_out([str(TWEETSUMM / "train.jsonl")])
    with pytest.raises(SourceError, match=f"{len(held_out)} of {len(held_out)} conversations"):
        check_unseen(shipped, held_out)
